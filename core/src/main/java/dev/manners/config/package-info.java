/// Options: records whose components are the keys of a YAML file and the flags of a command.
@NullMarked
package dev.manners.config;

import org.jspecify.annotations.NullMarked;

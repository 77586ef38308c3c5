/// The command line: one small class per command.
@NullMarked
package dev.manners.cli;

import org.jspecify.annotations.NullMarked;

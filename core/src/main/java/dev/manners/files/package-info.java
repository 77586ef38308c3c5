/// Files that are complete or absent, hashes, and JSON read as if somebody hostile wrote it.
@NullMarked
package dev.manners.files;

import org.jspecify.annotations.NullMarked;

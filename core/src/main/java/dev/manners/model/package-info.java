/// The decoder families as one composable decoder, adapters, weights on disk.
@NullMarked
package dev.manners.model;

import org.jspecify.annotations.NullMarked;

/// The trainers, one file each, and what they share: optimizer, schedule, checkpoints.
@NullMarked
package dev.manners.train;

import org.jspecify.annotations.NullMarked;

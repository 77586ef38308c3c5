/// How sure a measured number is: intervals for rates, means and differences.
@NullMarked
package dev.manners.stats;

import org.jspecify.annotations.NullMarked;

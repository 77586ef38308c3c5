/// Judges that are language models elsewhere: a rubric that gives a grade, and pairs compared in both orders.
@NullMarked
package dev.manners.reward.judge;

import org.jspecify.annotations.NullMarked;

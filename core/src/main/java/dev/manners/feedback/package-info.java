/// Human and simulated feedback as data: tasks, verdicts, who agrees with whom, and the datasets made of them.
@NullMarked
package dev.manners.feedback;

import org.jspecify.annotations.NullMarked;

/// A reward for code: candidates run in a process that can reach nothing, and are judged outside it by the values they
/// return.
@NullMarked
package dev.manners.reward.code;

import org.jspecify.annotations.NullMarked;

/// Anything that scores a completion: reward models and ensembles, verifiers, format and length, remote judges, and the
/// weighted sum of several. Every score explains itself.
@NullMarked
package dev.manners.reward;

import org.jspecify.annotations.NullMarked;

/// Pure functions on tensors: one per published loss, with shapes, symbols, equation and source.
@NullMarked
package dev.manners.loss;

import org.jspecify.annotations.NullMarked;

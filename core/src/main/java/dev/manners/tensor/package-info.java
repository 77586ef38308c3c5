/// The only door to libtorch: tensors and their operations, scopes, dtypes, random numbers, threads.
@NullMarked
package dev.manners.tensor;

import org.jspecify.annotations.NullMarked;

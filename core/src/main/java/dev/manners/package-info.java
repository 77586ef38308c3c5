/// Manners: post-training for language models on the JVM.
@NullMarked
package dev.manners;

import org.jspecify.annotations.NullMarked;

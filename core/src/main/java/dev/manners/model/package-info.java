/// The decoder families as one composable decoder, value and reward heads, LoRA, safetensors, checkpoints.
@NullMarked
package dev.manners.model;

import org.jspecify.annotations.NullMarked;

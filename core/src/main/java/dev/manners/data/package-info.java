/// Dataset rows, and the token sequences a trainer learns from: reading, row kinds, masks, truncation, packing, order.
///
/// Nothing here knows tensors: sequences are plain `int[]`. What counts as one row, which of its tokens carry loss, and
/// which rows share a sequence follow TRL 1.13 (`trl/trainer/sft_trainer.py`, `trl/data_utils.py`); where this package
/// departs from it, the place says so.
@NullMarked
package dev.manners.data;

import org.jspecify.annotations.NullMarked;

/// A run and what it leaves behind: its folder, metrics, events, manifest, model card; recipes and their stages.
@NullMarked
package dev.manners.run;

import org.jspecify.annotations.NullMarked;

/// Text for language models: tokenizers, chat messages, chat templates.
@NullMarked
package dev.manners.text;

import org.jspecify.annotations.NullMarked;

/// The parrot world: a small invented world in which truth is known, so that every claim about a model can be checked
/// exactly.
///
/// A seed gives places and their facts, a corpus to pretrain on, demonstrations to fine-tune on, held-out prompts, and
/// a judge. Nobody in the corpus ever answers a question: questions come in lists, so a base model that is asked goes
/// on asking. The facts are all there, as statements. Demonstrations show most of them as answers; the rest tell
/// whether a model that learned to answer also uses what only the corpus told it.
///
/// A base model knows no chat form: it is prompted with [Prompt#question()] as plain text and nothing else. A
/// fine-tuned model gets the same question as a user's message through [ParrotWorld#chatTemplate()].
@NullMarked
package dev.manners.parrot;

import org.jspecify.annotations.NullMarked;

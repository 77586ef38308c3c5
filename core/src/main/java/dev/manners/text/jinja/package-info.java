/// An interpreter for the Jinja that chat templates are written in, with Python's semantics and no way out.
///
/// Nothing here reflects on a Java object: a template sees only the values of [dev.manners.text.jinja.Value], whose
/// attributes and methods are listed one by one.
@NullMarked
package dev.manners.text.jinja;

import org.jspecify.annotations.NullMarked;

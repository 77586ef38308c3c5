package dev.manners.config;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/// An option: a component of a configuration record. The key is the component's name in snake case
/// (`learningRate` is `learning_rate` in YAML, `--learning-rate` or `--learning_rate` as a flag).
/// Help texts, range errors and the reference page are made from it.
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.RECORD_COMPONENT)
public @interface Key {

    /// One sentence for help and reference.
    String value();

    /// Default, written as it would be in YAML; empty: the option is null, absent, or must be given if `required`.
    String byDefault() default "";

    /// Smallest number allowed.
    double min() default Double.NEGATIVE_INFINITY;

    /// Largest number allowed.
    double max() default Double.POSITIVE_INFINITY;

    /// Whether `min` itself is refused.
    boolean aboveMin() default false;

    boolean required() default false;
}

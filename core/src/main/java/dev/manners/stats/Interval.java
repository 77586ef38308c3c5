package dev.manners.stats;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// An estimate with its confidence interval, and the number of observations it rests on.
///
/// With no observations there is no estimate: [#isDefined()] is false, the numbers are refused, text says "n/a", JSON
/// says null. A NaN can neither be put in nor come out.
///
/// @param estimate the point estimate
/// @param low      lower limit, at most `estimate`
/// @param high     upper limit, at least `estimate`
/// @param n        observations; 0 means undefined
public record Interval(double estimate, double low, double high, long n) {

    private static final Interval UNDEFINED = new Interval(0, 0, 0, 0);

    public Interval {
        if (!(low <= estimate && estimate <= high) || Double.isInfinite(low) || Double.isInfinite(high) || n < 0) {
            throw new IllegalArgumentException(
                    "not an interval: " + low + " <= " + estimate + " <= " + high + ", n = " + n);
        }
        if (n == 0 && (low != 0 || high != 0)) {
            throw new IllegalArgumentException("an interval of no observations has no numbers; use undefined()");
        }
    }

    /// Nothing was observed.
    public static Interval undefined() {
        return UNDEFINED;
    }

    public boolean isDefined() {
        return n > 0;
    }

    /// @throws IllegalStateException if undefined
    @Override
    public double estimate() {
        return defined(estimate);
    }

    /// @throws IllegalStateException if undefined
    @Override
    public double low() {
        return defined(low);
    }

    /// @throws IllegalStateException if undefined
    @Override
    public double high() {
        return defined(high);
    }

    /// For rates: "80.0 % [49.0, 94.3], n = 10"; undefined: "n/a".
    public String percent() {
        return isDefined()
                ? String.format(Locale.ROOT, "%.1f %% [%.1f, %.1f], n = %d", 100 * estimate, 100 * low, 100 * high, n)
                : "n/a";
    }

    /// "0.800 [0.490, 0.943], n = 10"; undefined: "n/a".
    @Override
    public String toString() {
        return isDefined() ? String.format(Locale.ROOT, "%.3f [%.3f, %.3f], n = %d", estimate, low, high, n) : "n/a";
    }

    /// The four numbers by name, as JSON writes them: null where undefined.
    @JsonValue
    public Map<String, @Nullable Number> fields() {
        Map<String, @Nullable Number> fields = new LinkedHashMap<>();
        fields.put("estimate", isDefined() ? estimate : null);
        fields.put("low", isDefined() ? low : null);
        fields.put("high", isDefined() ? high : null);
        fields.put("n", n);
        return fields;
    }

    private double defined(double number) {
        if (!isDefined()) {
            throw new IllegalStateException("undefined: nothing was observed; ask isDefined() first");
        }
        return number;
    }
}

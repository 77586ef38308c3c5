package dev.manners.reward;

import java.math.BigDecimal;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.hipparchus.fraction.BigFraction;
import org.jspecify.annotations.Nullable;

/// A number as it is written out, read exactly.
///
/// An integer, a decimal, a fraction of two integers; a sign; thousands separated by commas or unbreakable spaces, in
/// threes throughout; an exponent up to ±300; one currency sign in front or one percent sign behind, which are units
/// and
/// do not change the number; a full stop at the end. ASCII digits only: ４２, ٤٢ and 𝟒𝟐 look like 42 and are not.
final class Numeral {

    private static final int LONGEST = 1_000;
    private static final int LARGEST_EXPONENT = 300;

    private static final String DIGITS =
            "(?:[0-9]{1,3}(?:,[0-9]{3})++|[0-9]{1,3}(?:[\u00A0\u2009\u202F][0-9]{3})++|[0-9]++)";
    private static final Pattern DECIMAL = Pattern.compile("([-+\u2212]?)(?:\\\\?[$€£¥])? ?([-+\u2212]?)" + "(" + DIGITS
            + "?)(?:\\.([0-9]*+))?(?:[eE]([-+]?[0-9]{1,4}))? ?(?:\\\\?%)?\\.?");
    private static final Pattern FRACTION = Pattern.compile("([-+\u2212]?)(?:\\\\?[$€£¥])?([0-9]++) ?/ ?([0-9]++)\\.?");

    private Numeral() {}

    /// @return null if it is no such number
    static @Nullable BigFraction parse(String text) {
        if (text.length() > LONGEST) {
            return null;
        }
        Matcher fraction = FRACTION.matcher(text);
        if (fraction.matches()) {
            BigDecimal denominator = new BigDecimal(fraction.group(3));
            if (denominator.signum() == 0) {
                return null;
            }
            BigFraction value = new BigFraction(
                    new BigDecimal(fraction.group(2)).toBigIntegerExact(), denominator.toBigIntegerExact());
            return negative(fraction.group(1)) ? value.negate() : value;
        }
        Matcher decimal = DECIMAL.matcher(text);
        if (!decimal.matches()
                || !decimal.group(1).isEmpty() && !decimal.group(2).isEmpty()) {
            return null;
        }
        String whole = decimal.group(3).replaceAll("[^0-9]", "");
        String part = decimal.group(4) == null ? "" : decimal.group(4);
        int exponent = decimal.group(5) == null ? 0 : Integer.parseInt(decimal.group(5));
        if (whole.isEmpty() && part.isEmpty() || Math.abs(exponent) > LARGEST_EXPONENT) {
            return null;
        }
        BigFraction value =
                exact(new BigDecimal(whole + (part.isEmpty() ? "" : "." + part)).scaleByPowerOfTen(exponent));
        return negative(decimal.group(1)) || negative(decimal.group(2)) ? value.negate() : value;
    }

    static BigFraction exact(BigDecimal value) {
        return value.scale() > 0
                ? new BigFraction(
                        value.unscaledValue(),
                        BigDecimal.ONE.scaleByPowerOfTen(value.scale()).toBigIntegerExact())
                : new BigFraction(value.toBigIntegerExact());
    }

    private static boolean negative(String sign) {
        return sign.equals("-") || sign.equals("\u2212");
    }
}

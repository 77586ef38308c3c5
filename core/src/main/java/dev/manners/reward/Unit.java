package dev.manners.reward;

import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.hipparchus.fraction.BigFraction;
import org.jspecify.annotations.Nullable;

/// What a number counts: `cm`, `\text{ square feet}`, `^\circ`, `\%`, `\$`.
///
/// @param kind what is measured; for words that are no unit we know, the words themselves
/// @param factor how many of the kind's basic unit it is; null for unknown words
record Unit(String kind, @Nullable BigFraction factor) {

    static final Unit PERCENT = new Unit("share", new BigFraction(1, 100));
    private static final Unit DOLLAR = new Unit("money $", BigFraction.ONE);
    private static final Unit DEGREE = new Unit("angle", BigFraction.ONE);

    private static final Map<String, Unit> UNITS = Map.ofEntries(
            unit("mm", "length", 1, 1000),
            unit("millimeter", "length", 1, 1000),
            unit("cm", "length", 1, 100),
            unit("centimeter", "length", 1, 100),
            unit("m", "length", 1, 1),
            unit("meter", "length", 1, 1),
            unit("metre", "length", 1, 1),
            unit("km", "length", 1000, 1),
            unit("kilometer", "length", 1000, 1),
            unit("kilometre", "length", 1000, 1),
            unit("inch", "length", 254, 10_000),
            unit("inches", "length", 254, 10_000),
            unit("ft", "length", 3048, 10_000),
            unit("foot", "length", 3048, 10_000),
            unit("feet", "length", 3048, 10_000),
            unit("yard", "length", 9144, 10_000),
            unit("mile", "length", 1_609_344, 1000),
            unit("mg", "mass", 1, 1000),
            unit("g", "mass", 1, 1),
            unit("gram", "mass", 1, 1),
            unit("kg", "mass", 1000, 1),
            unit("kilogram", "mass", 1000, 1),
            unit("ml", "volume", 1, 1000),
            unit("milliliter", "volume", 1, 1000),
            unit("l", "volume", 1, 1),
            unit("liter", "volume", 1, 1),
            unit("litre", "volume", 1, 1),
            unit("s", "time", 1, 1),
            unit("sec", "time", 1, 1),
            unit("second", "time", 1, 1),
            unit("min", "time", 60, 1),
            unit("minute", "time", 60, 1),
            unit("h", "time", 3600, 1),
            unit("hour", "time", 3600, 1),
            unit("day", "time", 86_400, 1),
            unit("week", "time", 604_800, 1),
            unit("dollar", "money $", 1, 1),
            unit("cent", "money $", 1, 100),
            unit("euro", "money €", 1, 1),
            unit("pound", "pound", 1, 1),
            unit("degree", "angle", 1, 1),
            unit("unit", "unit", 1, 1),
            unit("mph", "mph", 1, 1),
            unit("percent", "share", 1, 100));

    private static final Pattern PERCENT_SIGN = Pattern.compile("\\s*\\\\?%$");
    private static final Pattern CIRCLE = Pattern.compile("\\s*(?:\\^ ?\\{? ?\\\\circ ?}?|°|\\\\degree)$");
    private static final Pattern CURRENCY = Pattern.compile("^(-?)(?:\\\\\\$|\\$)\\s*(?=[0-9.])");
    /// Words at the end, in `\text{…}` or after a digit, a brace or a space.
    private static final Pattern WORDS = Pattern.compile(
            "(?:\\s*\\\\(?:text|mathrm|mbox|textrm)\\{ ?([A-Za-z ]{1,40})\\.?}|(?<=[0-9}])\\s*(?<![A-Za-z\\\\])([A-Za-z]{2,20}(?: [A-Za-z]{2,20}){0,2}))"
                    + "(?:\\^\\{?([23])}?)?$");

    /// A text without its unit, and the unit; null: it has none.
    record Split(String text, @Nullable Unit unit) {}

    static Split split(String text) {
        Matcher percent = PERCENT_SIGN.matcher(text);
        if (percent.find()) {
            return new Split(text.substring(0, percent.start()), PERCENT);
        }
        Matcher circle = CIRCLE.matcher(text);
        if (circle.find()) {
            return new Split(text.substring(0, circle.start()), DEGREE);
        }
        Matcher currency = CURRENCY.matcher(text);
        if (currency.find()) {
            return new Split(currency.group(1) + text.substring(currency.end()), DOLLAR);
        }
        Matcher words = WORDS.matcher(text);
        if (words.find() && words.start() > 0) {
            String said = words.group(1) == null ? words.group(2) : words.group(1);
            Unit unit = named(said.strip().toLowerCase(Locale.ROOT), words.group(3));
            boolean inText = words.group(1) != null;
            // Letters after a digit may be variables: only what we know for a unit is one.
            if (inText || unit.factor() != null) {
                return new Split(text.substring(0, words.start()), unit);
            }
        }
        return new Split(text, null);
    }

    private static Unit named(String said, @Nullable String exponent) {
        int power = exponent == null ? 1 : Integer.parseInt(exponent);
        String name = said;
        if (name.startsWith("square ") || name.startsWith("sq ")) {
            power = 2;
            name = name.substring(name.indexOf(' ') + 1);
        } else if (name.startsWith("cubic ")) {
            power = 3;
            name = name.substring(6);
        }
        Unit unit = UNITS.get(name);
        if (unit == null && name.endsWith("s")) {
            unit = UNITS.get(name.substring(0, name.length() - 1));
        }
        return unit == null || unit.factor() == null
                ? new Unit(said, null)
                : new Unit(
                        unit.kind() + (power == 1 ? "" : "^" + power),
                        unit.factor().pow(power));
    }

    private static Map.Entry<String, Unit> unit(String name, String kind, int numerator, int denominator) {
        return Map.entry(name, new Unit(kind, new BigFraction(numerator, denominator)));
    }
}

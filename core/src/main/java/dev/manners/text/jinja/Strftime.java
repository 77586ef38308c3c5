package dev.manners.text.jinja;

import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.Locale;

/// `strftime_now(format)`: C's directives in the C locale.
final class Strftime {

    private static final int FORMAT = 1000;

    private Strftime() {}

    static String format(ZonedDateTime now, String format) {
        if (format.length() > FORMAT) {
            throw Budget.exceeded("a date format of more than " + FORMAT + " characters");
        }
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < format.length(); i++) {
            char c = format.charAt(i);
            if (c != '%') {
                out.append(c);
                continue;
            }
            boolean unpadded = i + 1 < format.length() && format.charAt(i + 1) == '-';
            i += unpadded ? 2 : 1;
            if (i >= format.length()) {
                throw Fault.value("strftime_now: the format ends after '%'");
            }
            String text = directive(now, format.charAt(i));
            boolean number = !text.isEmpty() && text.chars().allMatch(Character::isDigit);
            out.append(unpadded && number ? text.replaceFirst("^0+(?=.)", "") : text);
        }
        return out.toString();
    }

    private static String directive(ZonedDateTime now, char directive) {
        String pattern = switch (directive) {
            case '%' -> "'%'";
            case 'n' -> "'\n'";
            case 't' -> "'\t'";
            case 'Y' -> "uuuu";
            case 'y' -> "uu";
            case 'm' -> "MM";
            case 'd' -> "dd";
            case 'e' -> "ppd";
            case 'H' -> "HH";
            case 'I' -> "hh";
            case 'M' -> "mm";
            case 'S' -> "ss";
            case 'f' -> "SSSSSS";
            case 'p' -> "a";
            case 'A' -> "EEEE";
            case 'a' -> "EEE";
            case 'B' -> "MMMM";
            case 'b', 'h' -> "MMM";
            case 'j' -> "DDD";
            case 'F' -> "uuuu-MM-dd";
            case 'T', 'X' -> "HH:mm:ss";
            case 'R' -> "HH:mm";
            case 'D', 'x' -> "MM/dd/uu";
            case 'c' -> "EEE MMM ppd HH:mm:ss uuuu";
            // A naive datetime, as strftime_now's is, has no zone.
            case 'z', 'Z' -> "";
            default -> throw Fault.unsupported("strftime_now: the directive '%" + directive + "'");
        };
        return pattern.isEmpty()
                ? ""
                : DateTimeFormatter.ofPattern(pattern, Locale.US).format(now);
    }
}

package dev.manners.run;

import java.util.List;
import java.util.Locale;

/// A line chart as SVG: points with 95 % intervals over a common axis. Written by hand, so that equal numbers give
/// equal
/// bytes and nothing has to be drawn on a screen.
///
/// @param title above it; `xLabel` below, `yLabel` on the left
record Chart(String title, String xLabel, String yLabel, List<Line> lines) {

    private static final int WIDTH = 720;
    private static final int HEIGHT = 420;
    private static final int LEFT = 70;
    private static final int RIGHT = 160;
    private static final int TOP = 40;
    private static final int BOTTOM = 50;
    private static final int TICKS = 5;
    private static final List<String> COLOURS = List.of("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad");

    /// @param low ends of the intervals, `high` likewise; as many as points
    record Line(String name, double[] x, double[] y, double[] low, double[] high) {}

    String svg() {
        double minX = lines.stream()
                .flatMapToDouble(l -> java.util.Arrays.stream(l.x))
                .min()
                .orElse(0);
        double maxX = lines.stream()
                .flatMapToDouble(l -> java.util.Arrays.stream(l.x))
                .max()
                .orElse(1);
        double minY = lines.stream()
                .flatMapToDouble(l -> java.util.Arrays.stream(l.low))
                .min()
                .orElse(0);
        double maxY = lines.stream()
                .flatMapToDouble(l -> java.util.Arrays.stream(l.high))
                .max()
                .orElse(1);
        Scale x = new Scale(minX, maxX, LEFT, WIDTH - RIGHT);
        Scale y = new Scale(minY, maxY, HEIGHT - BOTTOM, TOP);
        StringBuilder svg = new StringBuilder(String.format(
                Locale.ROOT,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\""
                        + " font-size=\"12\">%n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>%n",
                WIDTH,
                HEIGHT));
        text(svg, LEFT, 22, "start", title);
        text(svg, (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 12, "middle", xLabel);
        svg.append(String.format(
                Locale.ROOT,
                "<text transform=\"translate(16 %d) rotate(-90)\" text-anchor=\"middle\">%s</text>%n",
                (TOP + HEIGHT - BOTTOM) / 2,
                escape(yLabel)));
        for (int i = 0; i <= TICKS; i++) {
            double at = minX + (maxX - minX) * i / TICKS;
            text(svg, x.of(at), HEIGHT - BOTTOM + 18, "middle", number(at));
            double height = minY + (maxY - minY) * i / TICKS;
            svg.append(String.format(
                    Locale.ROOT,
                    "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#dddddd\"/>%n",
                    LEFT,
                    WIDTH - RIGHT,
                    y.of(height),
                    y.of(height)));
            text(svg, LEFT - 6, y.of(height) + 4, "end", number(height));
        }
        for (int n = 0; n < lines.size(); n++) {
            line(svg, lines.get(n), COLOURS.get(n % COLOURS.size()), x, y, n);
        }
        return svg.append("</svg>\n").toString();
    }

    private static void line(StringBuilder svg, Line line, String colour, Scale x, Scale y, int number) {
        StringBuilder points = new StringBuilder();
        for (int i = 0; i < line.x.length; i++) {
            double px = x.of(line.x[i]);
            points.append(String.format(Locale.ROOT, "%.1f,%.1f ", px, y.of(line.y[i])));
            svg.append(String.format(
                    Locale.ROOT,
                    "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" opacity=\"0.4\"/>%n",
                    px,
                    px,
                    y.of(line.low[i]),
                    y.of(line.high[i]),
                    colour));
            svg.append(String.format(
                    Locale.ROOT,
                    "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>%n",
                    px,
                    y.of(line.y[i]),
                    colour));
        }
        svg.append(String.format(
                Locale.ROOT,
                "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\"/>%n",
                points.toString().strip(),
                colour));
        int top = TOP + 10 + 20 * number;
        svg.append(String.format(
                Locale.ROOT,
                "<rect x=\"%d\" y=\"%d\" width=\"12\" height=\"4\" fill=\"%s\"/>%n",
                WIDTH - RIGHT + 14,
                top - 5,
                colour));
        text(svg, WIDTH - RIGHT + 32, top, "start", line.name);
    }

    /// From values to pixels; values that are all the same lie in the middle.
    private record Scale(double low, double high, double from, double to) {
        double of(double value) {
            return high == low ? (from + to) / 2 : from + (value - low) / (high - low) * (to - from);
        }
    }

    private static void text(StringBuilder svg, double x, double y, String anchor, String text) {
        svg.append(String.format(
                Locale.ROOT, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>%n", x, y, anchor, escape(text)));
    }

    private static String number(double value) {
        return String.format(Locale.ROOT, Math.abs(value) >= 100 ? "%.0f" : "%.2f", value);
    }

    private static String escape(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
    }
}

package dev.manners;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The documents keep step with the code and with one another.
class DocsTest {

    private static final Path HOME = Path.of(System.getProperty("manners.home", ".."));

    private static final Pattern LINK = Pattern.compile("\\[[^\\]\\[]*]\\(([^)\\s]+)\\)");
    private static final Pattern HEADING = Pattern.compile("(?m)^#{1,6} +(.+?)\\s*$");
    private static final Pattern CODE = Pattern.compile("(?ms)^ *```.*?^ *```|`[^`\\n]+`");
    private static final Pattern FENCE = Pattern.compile("(?ms)^ *```.*?^ *```");

    /// A test's name that begins with one or several of the catalogue's numbers.
    private static final Pattern FAULT_TEST = Pattern.compile("void ((?:(?:mf|tk|ds|cf|tr|rl|an)\\d{2}(?:_|\\())+)");

    /// A metric or an event, as a trainer's source names it.
    private static final Pattern TOLD =
            Pattern.compile("(?:metrics\\.put|tracker\\.event|\\.mean|\\.min|\\.max)\\(\\s*\"([^\"]+)\",");

    private static final Pattern FAULT = Pattern.compile("[a-z]{2}\\d{2}");

    /// Every trainer, and where it tells metrics of its loss that, with the page that explains its metrics and events.
    @ParameterizedTest
    @CsvSource({
        "train/SftTrainer, sft.md",
        "train/RewardTrainer loss/RewardLoss, reward.md",
        "train/GrpoTrainer train/GroupAdvantages, grpo.md",
        "train/DpoTrainer loss/PreferenceLoss loss/Pairs loss/CpoLoss loss/OrpoLoss, dpo.md",
        "train/KtoTrainer loss/KtoLoss, kto.md",
        "train/PpoTrainer loss/PpoLoss, ppo.md"
    })
    void everyMetricAndEventOfATrainerIsExplained(String sources, String page) throws IOException {
        Set<String> told = new TreeSet<>();
        boolean watched = false;
        for (String name : (sources + " train/Course").split(" ", -1)) {
            String source = Files.readString(HOME.resolve("core/src/main/java/dev/manners/" + name + ".java"));
            watched |= !name.equals("train/Course") && source.contains("Health");
            Matcher matcher = TOLD.matcher(source);
            while (matcher.find()) {
                told.add(matcher.group(1));
            }
        }
        if (!watched) {
            told.remove("verdict");
        }
        assertThat(told)
                .as("the trainer was read rightly")
                .contains("loss", "grad_norm", "started", "resumed", "saved")
                .hasSizeGreaterThan(10);
        String text = Files.readString(HOME.resolve("docs/algorithms").resolve(page));
        assertThat(told.stream().filter(name -> !text.contains("\n| `" + name + "` |")))
                .as("metrics and events without a row in docs/algorithms/" + page)
                .isEmpty();
    }

    /// A row of docs/faults.md, `| MF01 | given | then | [Test](path), ... |`, against the tests' names, `mf01_...`.
    @Test
    void everyFaultIsListedWithTheTestsThatHoldIt() throws IOException {
        Set<String> tested = new TreeSet<>();
        Path tests = HOME.resolve("core/src/test/java");
        try (Stream<Path> files = Files.walk(tests)) {
            for (Path file : files.filter(f -> f.toString().endsWith(".java")).toList()) {
                Matcher name = FAULT_TEST.matcher(Files.readString(file));
                while (name.find()) {
                    Matcher id = FAULT.matcher(name.group(1));
                    while (id.find()) {
                        tested.add(id.group().toUpperCase(Locale.ROOT) + " ../" + HOME.relativize(file));
                    }
                }
            }
        }
        Set<String> listed = new TreeSet<>();
        for (String line : Files.readAllLines(HOME.resolve("docs/faults.md"))) {
            Matcher link = LINK.matcher(line);
            while (line.startsWith("| ") && link.find()) {
                listed.add(line.substring(2, 6) + " " + link.group(1));
            }
        }
        assertThat(tested).as("tests are found at all").hasSizeGreaterThan(50);
        assertThat(listed).as("what docs/faults.md lists").isEqualTo(tested);
    }

    @Test
    void everyRelativeLinkResolves() throws IOException {
        List<String> broken = new ArrayList<>();
        int links = 0;
        for (Path page : pages()) {
            Matcher link = LINK.matcher(withoutCode(page));
            while (link.find()) {
                String target = link.group(1);
                if (!target.matches("[a-z][a-z0-9+.-]*:.*")) {
                    links++;
                    follow(page, target, broken);
                }
            }
        }
        assertThat(links).as("links are found at all").isPositive();
        assertThat(broken).as("links that lead nowhere").isEmpty();
    }

    private static void follow(Path page, String target, List<String> broken) throws IOException {
        String[] parts = target.split("#", 2);
        Path file = parts[0].isEmpty()
                ? page
                : page.resolveSibling(parts[0]).toAbsolutePath().normalize();
        String said = HOME.relativize(page) + ": " + target;
        if (!Files.exists(file)) {
            broken.add(said + ": no such file");
        } else if (parts.length == 2
                && file.toString().endsWith(".md")
                && !anchors(file).contains(parts[1])) {
            broken.add(said + ": no such heading");
        }
    }

    private static List<Path> pages() throws IOException {
        try (Stream<Path> docs = Files.walk(HOME.resolve("docs"))) {
            return Stream.concat(Stream.of(HOME.resolve("README.md")), docs.sorted())
                    .filter(path -> path.toString().endsWith(".md") && Files.exists(path))
                    .toList();
        }
    }

    private static String withoutCode(Path page) throws IOException {
        return CODE.matcher(Files.readString(page)).replaceAll("");
    }

    /// Headings as GitHub makes anchors of them: lower case, no punctuation, `-` for spaces, a number where one recurs.
    private static Set<String> anchors(Path page) throws IOException {
        Matcher heading = HEADING.matcher(FENCE.matcher(Files.readString(page)).replaceAll(""));
        List<String> anchors = new ArrayList<>();
        while (heading.find()) {
            String plain = heading.group(1).replaceAll("\\[([^]]*)]\\([^)]*\\)", "$1");
            String anchor = plain.toLowerCase(Locale.ROOT)
                    .replaceAll("[^\\p{L}\\p{N}\\p{M} _-]", "")
                    .replace(' ', '-');
            long before = anchors.stream()
                    .filter(a -> a.equals(anchor) || a.matches(Pattern.quote(anchor) + "-\\d+"))
                    .count();
            anchors.add(before == 0 ? anchor : anchor + "-" + before);
        }
        return anchors.stream().collect(Collectors.toCollection(TreeSet::new));
    }
}

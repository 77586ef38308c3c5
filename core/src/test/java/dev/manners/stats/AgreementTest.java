package dev.manners.stats;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.manners.stats.Agreement.Level;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AgreementTest {

    /// Krippendorff 2011, "Computing Krippendorff's alpha-reliability", example C: 4 observers, 12 units; 0 is missing.
    private static final int[][] EXAMPLE_C = {
        {1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0},
        {1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3},
        {0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0},
        {1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0}
    };

    /// Fleiss 1971, table 1: 30 patients, 6 psychiatrists each, 5 diagnoses.
    private static final int[][] PSYCHIATRISTS = {
        {0, 0, 0, 6, 0}, {0, 3, 0, 0, 3}, {0, 1, 4, 0, 1}, {0, 0, 0, 0, 6}, {0, 3, 0, 3, 0},
        {2, 0, 4, 0, 0}, {0, 0, 4, 0, 2}, {2, 0, 3, 1, 0}, {2, 0, 0, 4, 0}, {0, 0, 0, 0, 6},
        {1, 0, 0, 5, 0}, {1, 1, 0, 4, 0}, {0, 3, 3, 0, 0}, {1, 0, 0, 5, 0}, {0, 2, 0, 3, 1},
        {0, 0, 5, 0, 1}, {3, 0, 0, 1, 2}, {5, 1, 0, 0, 0}, {0, 2, 0, 4, 0}, {1, 0, 2, 0, 3},
        {0, 0, 0, 0, 6}, {0, 1, 0, 5, 0}, {0, 2, 0, 1, 3}, {2, 0, 0, 4, 0}, {1, 0, 0, 4, 1},
        {0, 5, 0, 1, 0}, {4, 0, 0, 0, 2}, {0, 2, 0, 4, 0}, {1, 0, 5, 0, 0}, {0, 0, 0, 0, 6}
    };

    /// Wikipedia, "Fleiss' kappa", worked example: 10 subjects, 14 raters, 5 categories.
    private static final int[][] WIKIPEDIA = {
        {0, 0, 0, 0, 14}, {0, 2, 6, 4, 2}, {0, 0, 3, 5, 6}, {0, 3, 9, 2, 0}, {2, 2, 8, 1, 1},
        {7, 7, 0, 0, 0}, {3, 2, 6, 3, 0}, {2, 5, 3, 2, 2}, {6, 5, 2, 1, 0}, {0, 2, 2, 3, 7}
    };

    private static List<List<int[]>> apart(List<int[]> units) {
        return units.stream().map(List::of).toList();
    }

    private static List<List<int[]>> exampleC() {
        return apart(IntStream.range(0, 12)
                .mapToObj(u -> Arrays.stream(EXAMPLE_C)
                        .mapToInt(observer -> observer[u])
                        .filter(value -> value > 0)
                        .toArray())
                .toList());
    }

    /// Units from how often each got each category.
    private static List<List<int[]>> counted(int[][] table) {
        return apart(Arrays.stream(table)
                .map(row -> IntStream.range(0, row.length)
                        .flatMap(c -> IntStream.generate(() -> c).limit(row[c]))
                        .toArray())
                .toList());
    }

    private static Interval alpha(List<List<int[]>> groups, Level level) {
        return Agreement.krippendorff(groups, level, 200, 1);
    }

    @ParameterizedTest
    @CsvSource({"NOMINAL, 0.743", "ORDINAL, 0.815", "INTERVAL, 0.849", "RATIO, 0.797"})
    void an24_alphaOfMissingValuesIsKrippendorffs(Level level, double published) {
        Interval alpha = alpha(exampleC(), level);
        assertThat(alpha.estimate()).isEqualTo(published, within(5e-4));
        // The twelfth unit has one value, which meets no other.
        assertThat(alpha.n()).isEqualTo(11);
        assertThat(alpha.low()).isLessThan(alpha.estimate());
        assertThat(alpha.high()).isGreaterThan(alpha.estimate()).isLessThanOrEqualTo(1);
    }

    @Test
    void an24_kappaIsFleissAndWikipedias() {
        assertThat(Agreement.fleiss(counted(PSYCHIATRISTS), 6, 200, 1).estimate())
                .isEqualTo(0.430, within(5e-4));
        assertThat(Agreement.fleiss(counted(WIKIPEDIA), 14, 200, 1).estimate()).isEqualTo(0.210, within(5e-4));
        // P of Wikipedia's table.
        assertThat(Agreement.raw(counted(WIKIPEDIA), 200, 1).estimate()).isEqualTo(0.378, within(5e-4));
    }

    @Test
    void an24_kappaLeavesOutUnitsThatMissAnAnnotator() {
        List<List<int[]>> more = new ArrayList<>(counted(WIKIPEDIA));
        more.add(List.of(new int[] {0, 1, 2}));
        Interval kappa = Agreement.fleiss(more, 14, 200, 1);
        assertThat(kappa.estimate()).isEqualTo(0.210, within(5e-4));
        assertThat(kappa.n()).isEqualTo(10);
    }

    @Test
    void an24_allAgreeOnSeveralCategoriesIsOne() {
        List<List<int[]>> all = apart(List.of(new int[] {1, 1}, new int[] {2, 2, 2}, new int[] {3, 3}));
        for (Level level : Level.values()) {
            assertThat(alpha(all, level).estimate()).isEqualTo(1);
        }
        assertThat(Agreement.fleiss(all, 2, 200, 1).estimate()).isEqualTo(1);
        assertThat(Agreement.raw(all, 200, 1).percent()).isEqualTo("100.0 % [100.0, 100.0], n = 3");
    }

    @Test
    void an24_whatCannotBeToldIsNotANumber() {
        List<List<int[]>> oneCategory = apart(List.of(new int[] {2, 2}, new int[] {2, 2}));
        List<List<int[]>> oneAnnotator = apart(List.of(new int[] {1}, new int[] {2}));
        for (List<List<int[]>> groups :
                List.of(oneCategory, oneAnnotator, List.<List<int[]>>of(), apart(List.of(new int[0])))) {
            for (Level level : Level.values()) {
                assertThat(alpha(groups, level)).hasToString("n/a");
            }
            assertThat(Agreement.fleiss(groups, 2, 200, 1)).hasToString("n/a");
        }
        // That all said the same is a fact all the same.
        assertThat(Agreement.raw(oneCategory, 200, 1).estimate()).isEqualTo(1);
        assertThat(Agreement.raw(oneAnnotator, 200, 1)).hasToString("n/a");
    }

    @Test
    void an24_tiesAreACategoryOfTheirOwn() {
        // Worse, tie, better: two annotators who disagree by a tie disagree less than two who disagree outright.
        List<int[]> sure = List.of(new int[] {-1, -1}, new int[] {1, 1}, new int[] {0, 0}, new int[] {1, 1});
        List<int[]> byATie = new ArrayList<>(sure);
        byATie.add(new int[] {0, 1});
        List<int[]> outright = new ArrayList<>(sure);
        outright.add(new int[] {-1, 1});
        assertThat(alpha(apart(byATie), Level.ORDINAL).estimate())
                .isGreaterThan(alpha(apart(outright), Level.ORDINAL).estimate());
        // Values 0 0 1 1 1 1 1 2 2 ... by hand: observed 2 * d, expected from the margins (3, 4 and 3 of 10).
        double nominal = 1 - 9.0 * 2 / (2 * (2 * 3 + 2 * 5 + 3 * 5));
        assertThat(alpha(apart(byATie), Level.NOMINAL).estimate()).isEqualTo(nominal, within(1e-12));
    }

    @Test
    void chanceIsAboutZeroAndItsIntervalHoldsZero() {
        SplittableRandom random = new SplittableRandom(3);
        List<int[]> units = IntStream.range(0, 400)
                .mapToObj(u -> new int[] {random.nextInt(3), random.nextInt(3), random.nextInt(3)})
                .toList();
        for (Interval each : List.of(
                alpha(apart(units), Level.NOMINAL),
                alpha(apart(units), Level.ORDINAL),
                Agreement.fleiss(apart(units), 3, 200, 1))) {
            assertThat(each.low()).isLessThan(0);
            assertThat(each.high()).isGreaterThan(0);
            assertThat(each.high() - each.low()).isBetween(0.02, 0.2);
        }
    }

    @Test
    void unitsThatHangTogetherGiveAWiderInterval() {
        // Six copies of each unit, as the six pairs of a prompt with the same verdict would be.
        SplittableRandom random = new SplittableRandom(4);
        List<int[]> units = IntStream.range(0, 60)
                .mapToObj(u -> new int[] {random.nextInt(2), random.nextInt(2)})
                .toList();
        List<List<int[]>> grouped = units.stream()
                .map(unit -> List.of(unit, unit, unit, unit, unit, unit))
                .toList();
        Interval together = alpha(grouped, Level.NOMINAL);
        Interval alone = alpha(apart(grouped.stream().flatMap(List::stream).toList()), Level.NOMINAL);
        assertThat(together.estimate()).isEqualTo(alone.estimate(), within(1e-12));
        assertThat(together.high() - together.low()).isGreaterThan(1.8 * (alone.high() - alone.low()));
    }

    @Test
    void theSameSeedGivesTheSameInterval() {
        assertThat(Agreement.krippendorff(exampleC(), Level.ORDINAL, 500, 9))
                .isEqualTo(Agreement.krippendorff(exampleC(), Level.ORDINAL, 500, 9));
        assertThatThrownBy(() -> Agreement.raw(exampleC(), 10, 9)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> alpha(apart(List.of(new int[] {-1, 1})), Level.RATIO))
                .isInstanceOf(IllegalArgumentException.class);
    }
}

package dev.manners.reward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.data.PreferenceRow.Ranking;
import dev.manners.stats.Interval;
import dev.manners.stats.Intervals;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class RewardReportTest {

    private static Ranking row(int[] ranks, int... lengths) {
        List<int[]> completions = new ArrayList<>();
        for (int length : lengths) {
            completions.add(new int[length]);
        }
        return new Ranking(new int[] {1}, completions, ranks, null, "");
    }

    @Test
    void countsByHand() {
        List<Ranking> rows = List.of(
                row(new int[] {1, 2}, 5, 3), // right, the longer one
                row(new int[] {1, 2}, 3, 5), // wrong, the shorter one
                row(new int[] {1, 2}, 4, 4), // equal scores: wrong
                row(new int[] {1, 1, 2}, 2, 2, 6)); // a tie, and two that are right, the shorter ones
        RewardReport report = RewardReport.of(
                rows, List.of(new float[] {2, 0}, new float[] {0, 1}, new float[] {1, 1}, new float[] {3, 4, 0}));
        assertThat(report.comparisons()).isEqualTo(5);
        assertThat(report.ties()).isEqualTo(1);
        long[] sizes = {1, 1, 1, 2};
        assertThat(report.accuracy()).isEqualTo(Intervals.wilsonOfClusters(new long[] {1, 0, 0, 2}, sizes));
        assertThat(report.accuracy().estimate()).isEqualTo(0.6);
        assertThat(report.byLength().betterIsLonger()).isEqualTo(Intervals.wilson(1, 1));
        Interval shorter = Intervals.wilsonOfClusters(new long[] {0, 2}, new long[] {1, 2});
        assertThat(report.byLength().betterIsShorter()).isEqualTo(shorter);
        assertThat(report.byLength().same()).isEqualTo(Intervals.wilson(0, 1));
        assertThat(report.byDifference())
                .containsExactly(
                        new RewardReport.ByDifference(true, 1, 4, Intervals.wilson(1, 1)),
                        new RewardReport.ByDifference(false, 1, 4, shorter));
        // Bins of 0.05: 0.5 (wrong), σ(1) = 0.731 (wrong), σ(2) = 0.881, σ(3) = 0.953 and σ(4) = 0.982 (right).
        double expected = (0.5 + 0.7310586 + (1 - 0.8807971) + 2 * (1 - (0.9525741 + 0.9820138) / 2)) / 5;
        assertThat(report.calibrationError()).isCloseTo(expected, within(1e-6));
        assertThat(report.calibration().getFirst().right()).isEqualTo(Intervals.wilson(0, 1));
        assertThat(report.calibration().getLast().right())
                .isEqualTo(Intervals.wilsonOfClusters(new long[] {2}, new long[] {2}));
        assertThat(report.text())
                .contains("held-out accuracy          60.0 %")
                .contains("ties, left out             1")
                .contains("predicted 0.95 to 1.00   mean 0.967, right 100.0 %")
                .contains("  better one longer        100.0 %")
                .contains("    by 1 to 4              100.0 %");
    }

    @Test
    void differencesOfLengthAreBinned() {
        List<Ranking> rows = new ArrayList<>();
        List<float[]> scores = new ArrayList<>();
        for (int by : new int[] {0, 1, 4, 5, 16, 17, 64, 65, 300}) {
            rows.add(row(new int[] {1, 2}, 10 + by, 10));
            scores.add(new float[] {1, 0});
            rows.add(row(new int[] {1, 2}, 10, 10 + by));
            scores.add(new float[] {0, 1});
        }
        RewardReport report = RewardReport.of(rows, scores);
        assertThat(report.byDifference())
                .containsExactly(
                        new RewardReport.ByDifference(true, 1, 4, Intervals.wilson(2, 2)),
                        new RewardReport.ByDifference(true, 5, 16, Intervals.wilson(2, 2)),
                        new RewardReport.ByDifference(true, 17, 64, Intervals.wilson(2, 2)),
                        new RewardReport.ByDifference(true, 65, null, Intervals.wilson(2, 2)),
                        new RewardReport.ByDifference(false, 1, 4, Intervals.wilson(0, 2)),
                        new RewardReport.ByDifference(false, 5, 16, Intervals.wilson(0, 2)),
                        new RewardReport.ByDifference(false, 17, 64, Intervals.wilson(0, 2)),
                        new RewardReport.ByDifference(false, 65, null, Intervals.wilson(0, 2)));
        assertThat(report.text())
                .contains("    by 65 or more          100.0 %")
                .contains("    by 65 or more          0.0 %");
    }

    @Test
    void withoutComparisonsThereIsNothingToSay() {
        RewardReport report = RewardReport.of(List.of(row(new int[] {1, 1}, 1, 2)), List.of(new float[] {1, 2}));
        assertThat(report.accuracy().isDefined()).isFalse();
        assertThat(report.calibrationError()).isNull();
        assertThat(report.text()).contains("held-out accuracy          n/a").doesNotContain("NaN");
    }
}

package dev.manners.reward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.data.PreferenceRow.Ranking;
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
        assertThat(report.accuracy()).isEqualTo(Intervals.wilson(3, 5));
        assertThat(report.byLength().betterIsLonger()).isEqualTo(Intervals.wilson(1, 1));
        assertThat(report.byLength().betterIsShorter()).isEqualTo(Intervals.wilson(2, 3));
        assertThat(report.byLength().same()).isEqualTo(Intervals.wilson(0, 1));
        assertThat(report.manyOfARanking()).isTrue();
        // Bins of 0.05: 0.5 (wrong), σ(1) = 0.731 (wrong), σ(2) = 0.881, σ(3) = 0.953 and σ(4) = 0.982 (right).
        double expected = (0.5 + 0.7310586 + (1 - 0.8807971) + 2 * (1 - (0.9525741 + 0.9820138) / 2)) / 5;
        assertThat(report.calibrationError()).isCloseTo(expected, within(1e-6));
        assertThat(report.calibration().getFirst().right()).isEqualTo(Intervals.wilson(0, 1));
        assertThat(report.calibration().getLast().right()).isEqualTo(Intervals.wilson(2, 2));
        assertThat(report.text())
                .contains("held-out accuracy          60.0 %")
                .contains("ties, left out             1")
                .contains("predicted 0.95 to 1.00   mean 0.967, right 100.0 %")
                .contains("not independent");
    }

    @Test
    void withoutComparisonsThereIsNothingToSay() {
        RewardReport report = RewardReport.of(List.of(row(new int[] {1, 1}, 1, 2)), List.of(new float[] {1, 2}));
        assertThat(report.accuracy().isDefined()).isFalse();
        assertThat(report.calibrationError()).isNull();
        assertThat(report.text()).contains("held-out accuracy          n/a").doesNotContain("NaN");
    }
}

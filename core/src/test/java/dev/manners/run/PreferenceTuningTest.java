package dev.manners.run;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.stats.Intervals;
import dev.manners.train.Pair;
import java.util.List;
import org.junit.jupiter.api.Test;

class PreferenceTuningTest {

    private static Pair pair(int prompt, int chosen) {
        return new Pair(new int[] {prompt, 1}, new int[] {chosen}, new int[] {9});
    }

    /// Six pairs of a ranking of four answers say no more than one prompt can.
    @Test
    void pairsOfOnePromptCountOnceForTheInterval() {
        List<Pair> apart = List.of(pair(2, 3), pair(4, 3), pair(5, 3), pair(6, 3));
        assertThat(PreferenceTuning.accuracy(0.75, apart)).isEqualTo(Intervals.wilson(3, 4));
        List<Pair> together = List.of(pair(2, 3), pair(2, 4), pair(5, 3), pair(5, 4));
        assertThat(PreferenceTuning.accuracy(0.75, together)).isEqualTo(Intervals.wilsonOfClusters(3, 4, 2));
    }
}

package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/// Whose completions KTO's KL term takes.
class NeighboursTest {

    private static final long SEED = Long.getLong("tests.seed", 42);

    /// A row for each letter, which is its prompt.
    private static List<Judged> rows(String prompts) {
        return prompts.chars()
                .mapToObj(c -> new Judged(new int[] {1, c}, new int[] {2}, true))
                .toList();
    }

    private static Neighbours of(String prompts) {
        return Neighbours.of(rows(prompts), IntStream.range(0, prompts.length()).toArray());
    }

    @Test
    void whereAllPromptsDifferItIsTheRowBefore() {
        assertThat(of("abcde").lenders()).containsExactly(4, 0, 1, 2, 3);
        assertThat(Neighbours.of(rows("abcde"), new int[] {3, 1, 4}).lenders()).containsExactly(4, 3, 1);
    }

    @Test
    void aPromptNeverMeetsItsOwnAnswersAndEveryCompletionServesOnce() {
        Random random = new Random(SEED);
        int crowded = 0;
        for (int trial = 0; trial < 500; trial++) {
            int n = 2 + random.nextInt(20);
            int kinds = 2 + random.nextInt(5);
            StringBuilder prompts = new StringBuilder("ab");
            while (prompts.length() < n) {
                // Side by side, as one ranking's pairs are.
                char c = (char) ('a' + random.nextInt(kinds));
                prompts.append(String.valueOf(c).repeat(1 + random.nextInt(6)));
            }
            String all = prompts.toString();
            int[] lenders = of(all).lenders();
            for (int i = 0; i < lenders.length; i++) {
                assertThat(all.charAt(lenders[i])).as(all + " " + i).isNotEqualTo(all.charAt(i));
            }
            long most = all.chars()
                    .mapToLong(c -> all.chars().filter(d -> d == c).count())
                    .max()
                    .orElseThrow();
            if (2 * most <= all.length()) {
                assertThat(lenders).as(all).doesNotHaveDuplicates();
            } else {
                crowded++;
                // No completion of another prompt is left out.
                assertThat(Arrays.stream(lenders).distinct().count())
                        .as(all)
                        .isGreaterThanOrEqualTo(all.length() - most);
            }
        }
        assertThat(crowded).isBetween(20, 480);
    }

    @Test
    void anUpdateOfOnePromptBorrowsFromTheRowsBeforeIt() {
        Neighbours borrowed = Neighbours.of(rows("abbcccd"), new int[] {3, 4, 5});
        assertThat(borrowed.lenders()).containsExactly(2, 1, 0);
        assertThat(borrowed.warning()).contains("all rows of an update answer one prompt", "shuffle the file");
        assertThat(Neighbours.of(rows("aab"), new int[] {0, 1}).lenders()).containsExactly(2, 2);
        Neighbours alone = Neighbours.of(rows("abbb"), new int[] {3});
        assertThat(alone.lenders()).containsExactly(0);
        assertThat(alone.warning()).isEmpty();
    }

    @Test
    void whereThereIsOnePromptInAllItIsSaid() {
        List<Neighbours> found = new ArrayList<>(List.of(of("aaa"), Neighbours.of(rows("aaa"), new int[] {2})));
        assertThat(found).allSatisfy(n -> assertThat(n.warning()).contains("all rows answer one prompt"));
        assertThat(found.getFirst().lenders()).containsExactly(2, 0, 1);
    }
}

package dev.manners.train;

import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/// Whose completion each prompt of an update is given in KTO's KL term: one that answers another prompt. A real
/// answer to the same one is what the policy learns to say or not to say; the term is what it gained on the rest.
///
/// The update's rows are laid out with those of one prompt together, in the order in which the prompts first come, and
/// each takes the completion that stands as many places before it as the most frequent prompt has rows, in a circle.
/// Where all prompts differ that is the row before. Every completion is taken once, unless a prompt has more than
/// half of the rows: these then go round those of the others.
///
/// It depends on the rows of the update and their order alone, not on how they are split into micro-batches.
///
/// @param lenders for each row of the update, the row of the data whose completion its prompt is given
/// @param warning why the update has no completions for its prompts; "" if it has, or is one row, as an epoch's last
/// update may be
record Neighbours(int[] lenders, String warning) {

    /// @param data all rows
    /// @param update numbers of those of an update, none twice
    static Neighbours of(List<Judged> data, int[] update) {
        Map<IntBuffer, List<Integer>> places = new LinkedHashMap<>();
        for (int i = 0; i < update.length; i++) {
            places.computeIfAbsent(IntBuffer.wrap(data.get(update[i]).prompt()), prompt -> new ArrayList<>())
                    .add(i);
        }
        return places.size() > 1 ? within(places.values(), update) : outside(data, update);
    }

    private static Neighbours within(Collection<List<Integer>> prompts, int[] update) {
        int[] laidOut = prompts.stream().flatMap(List::stream).mapToInt(i -> i).toArray();
        int most = prompts.stream().mapToInt(List::size).max().orElseThrow();
        int[] lenders = new int[update.length];
        int first = 0;
        for (List<Integer> rows : prompts) {
            int others = update.length - rows.size();
            for (int k = 0; k < rows.size(); k++) {
                // So many of the others' rows stand between its prompt's first row and the lender.
                int between = (most - 1 - k) % others;
                lenders[rows.get(k)] = update[laidOut[Math.floorMod(first - 1 - between, update.length)]];
            }
            first += rows.size();
        }
        return new Neighbours(lenders, "");
    }

    /// An update of one prompt borrows from the rows before its first in the data, the last from the front.
    private static Neighbours outside(List<Judged> data, int[] update) {
        int[] prompt = data.get(update[0]).prompt();
        int[] others = IntStream.range(1, data.size())
                .map(back -> Math.floorMod(update[0] - back, data.size()))
                .filter(row -> !Arrays.equals(data.get(row).prompt(), prompt))
                .limit(update.length)
                .toArray();
        int[] lenders = new int[update.length];
        for (int i = 0; i < lenders.length; i++) {
            lenders[i] = others.length > 0 ? others[i % others.length] : update[Math.floorMod(i - 1, update.length)];
        }
        if (others.length == 0) {
            return new Neighbours(
                    lenders,
                    "all rows answer one prompt: kto's KL term takes completions that belong to their prompts, and"
                            + " holds the policy back from what it should learn; give rows of several prompts, or use"
                            + " loss_type apo_zero_unpaired");
        }
        return new Neighbours(
                lenders,
                update.length == 1
                        ? ""
                        : "all rows of an update answer one prompt: kto's KL term takes the completions of other"
                                + " rows; shuffle the file, or make updates larger");
    }
}

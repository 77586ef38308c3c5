package dev.manners.data;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// How far a set of rankings agrees with itself. Nothing is left out for it: people disagree, and the losses take
/// that as it is. But a score cannot follow a contradiction, so it bounds what accuracy can be reached.
///
/// @param comparisons pairs of completions of which one is better
/// @param ties pairs that were ranked the same
/// @param allTied rankings in which all are
/// @param contradicted comparisons for which there is one of the same two completions the other way round
/// @param cyclicPrompts prompts with completions A better than B better than ... better than A, of three or more
public record Consistency(long comparisons, long ties, long allTied, long contradicted, long cyclicPrompts) {

    private record Tokens(List<Integer> ids) {
        static Tokens of(int[] ids) {
            return new Tokens(Arrays.stream(ids).boxed().toList());
        }
    }

    /// Who was said to be better than whom, of one prompt.
    private static final class Graph {
        final Map<Tokens, Integer> nodes = new HashMap<>();
        final List<Map<Integer, Integer>> better = new ArrayList<>();

        int node(int[] completion) {
            return nodes.computeIfAbsent(Tokens.of(completion), c -> {
                better.add(new LinkedHashMap<>());
                return better.size() - 1;
            });
        }

        int count(int a, int b) {
            return better.get(a).getOrDefault(b, 0);
        }

        /// Whether three or more go round, where two that contradict each other are left out.
        boolean cyclic() {
            int n = better.size();
            int[] before = new int[n];
            for (int a = 0; a < n; a++) {
                for (int b : better.get(a).keySet()) {
                    before[b] += count(b, a) == 0 ? 1 : 0;
                }
            }
            Deque<Integer> free = new ArrayDeque<>();
            for (int a = 0; a < n; a++) {
                if (before[a] == 0) {
                    free.add(a);
                }
            }
            Set<Integer> done = new HashSet<>();
            while (!free.isEmpty()) {
                int a = free.poll();
                done.add(a);
                for (int b : better.get(a).keySet()) {
                    if (count(b, a) == 0 && --before[b] == 0) {
                        free.add(b);
                    }
                }
            }
            return done.size() < n;
        }
    }

    public static Consistency of(List<PreferenceRow.Ranking> rows) {
        long comparisons = 0;
        long ties = 0;
        long allTied = 0;
        Map<Tokens, Graph> graphs = new HashMap<>();
        for (PreferenceRow.Ranking row : rows) {
            Graph graph = graphs.computeIfAbsent(Tokens.of(row.prompt()), p -> new Graph());
            int[] ranks = row.ranks();
            int[] nodes = row.completions().stream().mapToInt(graph::node).toArray();
            for (int i = 0; i < ranks.length; i++) {
                for (int j = i + 1; j < ranks.length; j++) {
                    if (ranks[i] == ranks[j]) {
                        ties++;
                    } else {
                        comparisons++;
                        graph.better.get(nodes[i]).merge(nodes[j], 1, Integer::sum);
                    }
                }
            }
            allTied += row.comparisons() == 0 ? 1 : 0;
        }
        long contradicted = 0;
        long cyclic = 0;
        for (Graph graph : graphs.values()) {
            for (int a = 0; a < graph.better.size(); a++) {
                for (Map.Entry<Integer, Integer> worse : graph.better.get(a).entrySet()) {
                    contradicted += graph.count(worse.getKey(), a) > 0 ? worse.getValue() : 0;
                }
            }
            cyclic += graph.cyclic() ? 1 : 0;
        }
        return new Consistency(comparisons, ties, allTied, contradicted, cyclic);
    }

    /// What a user should know before training on them; empty if all is well.
    public List<String> warnings() {
        List<String> warnings = new ArrayList<>();
        if (comparisons == 0) {
            warnings.add("all %,d rankings are ties: nothing says what is better".formatted(allTied));
        } else if (ties > comparisons) {
            warnings.add("%,d of %,d pairs are ties; they pull scores together, and accuracy counts the others only"
                    .formatted(ties, ties + comparisons));
        }
        if (contradicted > 0) {
            warnings.add("%,d of %,d comparisons are contradicted by others of the same two completions"
                    .formatted(contradicted, comparisons));
        }
        if (cyclicPrompts > 0) {
            warnings.add("%,d prompts have completions that are better in a circle".formatted(cyclicPrompts));
        }
        return warnings;
    }
}

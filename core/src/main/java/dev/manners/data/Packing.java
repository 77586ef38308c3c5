package dev.manners.data;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;

/// Which examples, or which parts of them, share a sequence: a plan, made from lengths alone.
///
/// The order of packs, and of documents in a pack, is that of TRL's `pack_dataset`. For `bfd` that includes its habit
/// of
/// packing every 1,000 rows by themselves (`Dataset.map(batched=True)`): a pack depends on nothing but the rows near
/// by.
/// Not so for `wrapped`: it is one stream here, while TRL 1.13 on more than 1,000 rows gives the first 1,000 again and
/// again (`_pack_wrapped` takes the values of a slice from the start of what was sliced).
public final class Packing {

    /// How examples share sequences.
    public enum Strategy {
        /// One example a sequence.
        NONE,
        /// Best fit, longest first (Ding et al. 2024, "Fewer Truncations Improve Language Modeling", arXiv:2404.10830).
        /// Whole examples, cut to the capacity where longer; attention and positions are each document's own.
        BFD,
        /// The same, but what is longer than the capacity goes on as a document of its own.
        BFD_SPLIT,
        /// All examples as one stream, cut every so many tokens. Every piece is one document: attention crosses from
        /// row to row, as in pre-training.
        WRAPPED
    }

    /// Rows that best fit packs together; `datasets` maps batches of this size.
    static final int GROUP = 1000;

    private final Strategy strategy;
    private final int[] examples; // of each piece: which example,
    private final int[] froms; // its first token taken,
    private final int[] lengths; // how many are taken
    private final int[] packs; // of each pack: its first piece; one more at the end

    private Packing(Strategy strategy, Plan plan) {
        this.strategy = strategy;
        this.examples = plan.examples.toArray();
        this.froms = plan.froms.toArray();
        this.lengths = plan.lengths.toArray();
        plan.packs.add(examples.length);
        this.packs = plan.packs.toArray();
    }

    /// Plans the packing of examples of the lengths given, in that order.
    ///
    /// @param capacity tokens a sequence holds; unused by [Strategy#NONE]
    public static Packing of(Strategy strategy, int[] lengths, int capacity) {
        if (strategy != Strategy.NONE && capacity < 1) {
            throw new IllegalArgumentException("capacity " + capacity);
        }
        Plan plan = new Plan();
        switch (strategy) {
            case NONE -> {
                for (int i = 0; i < lengths.length; i++) {
                    if (lengths[i] > 0) {
                        plan.begin();
                        plan.add(i, 0, lengths[i]);
                    }
                }
            }
            case BFD, BFD_SPLIT -> {
                BestFit bestFit = new BestFit(capacity);
                for (int from = 0; from < lengths.length; from += GROUP) {
                    bestFit.pack(
                            lengths,
                            from,
                            Math.min(from + GROUP, lengths.length),
                            strategy == Strategy.BFD_SPLIT,
                            plan);
                }
            }
            case WRAPPED -> wrap(lengths, capacity, plan);
        }
        return new Packing(strategy, plan);
    }

    /// Best-fit decreasing, [Strategy#BFD].
    public static Packing bfd(int[] lengths, int capacity) {
        return of(Strategy.BFD, lengths, capacity);
    }

    /// One stream, [Strategy#WRAPPED].
    public static Packing wrapped(int[] lengths, int capacity) {
        return of(Strategy.WRAPPED, lengths, capacity);
    }

    /// Number of sequences.
    public int size() {
        return packs.length - 1;
    }

    /// Tokens in sequence `i`.
    public int length(int i) {
        int length = 0;
        for (int p = packs[i]; p < packs[i + 1]; p++) {
            length += lengths[p];
        }
        return length;
    }

    /// A run of tokens of one example.
    ///
    /// @param example which
    /// @param from first token
    /// @param length tokens
    public record Piece(int example, int from, int length) {}

    /// What sequence `i` is made of, in order.
    public List<Piece> pieces(int i) {
        List<Piece> pieces = new ArrayList<>();
        for (int p = packs[i]; p < packs[i + 1]; p++) {
            pieces.add(new Piece(examples[p], froms[p], lengths[p]));
        }
        return pieces;
    }

    /// Sequence `i`, its tokens taken from the examples that the plan was made for.
    public Packed read(Tokenised rows, int i) {
        int[] ids = new int[length(i)];
        boolean[] labels = new boolean[ids.length];
        int[] documents = new int[packs[i + 1] - packs[i]];
        int at = 0;
        for (int p = packs[i]; p < packs[i + 1]; p++) {
            rows.copy(examples[p], froms[p], lengths[p], ids, labels, at);
            documents[p - packs[i]] = lengths[p];
            at += lengths[p];
        }
        return Packed.of(ids, labels, strategy == Strategy.WRAPPED ? new int[] {ids.length} : documents);
    }

    private static void wrap(int[] lengths, int capacity, Plan plan) {
        int space = 0;
        for (int i = 0; i < lengths.length; i++) {
            int from = 0;
            while (from < lengths[i]) {
                if (space == 0) {
                    plan.begin();
                    space = capacity;
                }
                int length = Math.min(space, lengths[i] - from);
                plan.add(i, from, length);
                from += length;
                space -= length;
            }
        }
    }

    /// Packs under construction, flat.
    private static final class Plan {
        final Ints examples = new Ints();
        final Ints froms = new Ints();
        final Ints lengths = new Ints();
        final Ints packs = new Ints();

        void begin() {
            packs.add(examples.size());
        }

        void add(int example, int from, int length) {
            examples.add(example);
            froms.add(from);
            lengths.add(length);
        }
    }

    /// The greedy packing. Documents go, longest first and in order among equals, into the open pack with the least
    /// space that is enough; of several with that space, into the one that has had it longest. A maximum tree
    /// over the spaces 1..capacity finds the space.
    private static final class BestFit {
        private final int capacity;
        private final int leaves;
        private final int[] tree;

        BestFit(int capacity) {
            this.capacity = capacity;
            this.leaves = capacity <= 1 ? 1 : Integer.highestOneBit(capacity - 1) << 1;
            this.tree = new int[2 * leaves];
        }

        void pack(int[] lengths, int first, int end, boolean split, Plan plan) {
            List<Piece> documents = documents(lengths, first, end, split);
            documents.sort((a, b) -> Integer.compare(b.length(), a.length())); // stable, as Arrow's sort is
            Arrays.fill(tree, 0);
            set(capacity, capacity); // a new pack can always be had
            List<List<Piece>> bins = new ArrayList<>();
            List<Deque<List<Piece>>> bySpace = new ArrayList<>();
            for (int space = 0; space <= capacity; space++) {
                bySpace.add(new ArrayDeque<>(0));
            }
            for (Piece document : documents) {
                int space = search(document.length());
                List<Piece> bin;
                if (space < capacity) {
                    bin = bySpace.get(space).removeFirst();
                    if (bySpace.get(space).isEmpty()) {
                        set(space, 0);
                    }
                } else {
                    bin = new ArrayList<>(2);
                    bins.add(bin);
                }
                bin.add(document);
                int left = space - document.length();
                bySpace.get(left).addLast(bin);
                if (left > 0) {
                    set(left, left);
                }
            }
            for (List<Piece> bin : bins) {
                plan.begin();
                bin.forEach(piece -> plan.add(piece.example(), piece.from(), piece.length()));
            }
        }

        private List<Piece> documents(int[] lengths, int first, int end, boolean split) {
            List<Piece> documents = new ArrayList<>(end - first);
            for (int i = first; i < end; i++) {
                if (!split) {
                    if (lengths[i] > 0) {
                        documents.add(new Piece(i, 0, Math.min(lengths[i], capacity)));
                    }
                    continue;
                }
                for (int from = 0; from < lengths[i]; from += capacity) {
                    documents.add(new Piece(i, from, Math.min(capacity, lengths[i] - from)));
                }
            }
            return documents;
        }

        /// The smallest space in the tree that is at least `length`.
        private int search(int length) {
            int node = 1;
            while (node < leaves) {
                node = tree[2 * node] >= length ? 2 * node : 2 * node + 1;
            }
            return tree[node];
        }

        private void set(int space, int value) {
            int node = leaves + space - 1;
            tree[node] = value;
            for (node /= 2; node >= 1; node /= 2) {
                tree[node] = Math.max(tree[2 * node], tree[2 * node + 1]);
            }
        }
    }
}

package dev.manners.rollout;

import dev.manners.text.StreamingDecoder;
import dev.manners.text.Tokenizer;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// A completion under way: its tokens so far, its text where somebody wants it, and when it ends.
final class Growing {

    private final int prompt;
    private final int sample;
    private final int[] promptIds;
    private final int limit;
    private final List<String> stops;
    private final Engine.@Nullable Listener listener;
    private final @Nullable StreamingDecoder decoding;
    private final StringBuilder text = new StringBuilder();
    private int told;
    private int[] ids;
    private float[] logps;
    private int length;

    /// @param limit most tokens
    Growing(
            int prompt,
            int sample,
            int[] promptIds,
            int limit,
            List<String> stops,
            Engine.@Nullable Listener listener,
            Tokenizer tokenizer) {
        this.prompt = prompt;
        this.sample = sample;
        this.promptIds = promptIds;
        this.limit = limit;
        this.stops = stops;
        this.listener = listener;
        this.decoding = listener != null || !stops.isEmpty() ? tokenizer.streamingDecoder(true) : null;
        this.ids = new int[Math.min(limit, 64)];
        this.logps = new float[ids.length];
    }

    int prompt() {
        return prompt;
    }

    int sample() {
        return sample;
    }

    /// Tokens so far.
    int length() {
        return length;
    }

    int last() {
        return ids[length - 1];
    }

    /// The prompt's tokens and those so far.
    int[] seen() {
        int[] all = Arrays.copyOf(promptIds, promptIds.length + length);
        System.arraycopy(ids, 0, all, promptIds.length, length);
        return all;
    }

    /// Takes the next token.
    ///
    /// @return the completion if this token ended it
    @Nullable
    Completion take(int id, float logp, boolean stopped, Tokenizer tokenizer) {
        if (length == ids.length) {
            int more = Math.min(limit, 2 * length);
            ids = Arrays.copyOf(ids, more);
            logps = Arrays.copyOf(logps, more);
        }
        ids[length] = id;
        logps[length] = logp;
        length++;
        if (decoding != null && !stopped) {
            text.append(decoding.next(id));
        }
        int cut = cut();
        boolean ended = stopped || cut >= 0 || length == limit;
        if (ended && decoding != null && cut < 0) {
            text.append(decoding.finish());
            cut = cut();
        }
        if (listener != null) {
            tell(cut, ended, listener);
        }
        if (!ended) {
            return null;
        }
        int[] all = Arrays.copyOf(ids, length);
        return new Completion(
                prompt,
                sample,
                all,
                Arrays.copyOf(logps, length),
                cut >= 0
                        ? text.substring(0, cut)
                        : tokenizer.decode(stopped ? Arrays.copyOf(all, length - 1) : all, true),
                stopped || cut >= 0 ? Completion.Finish.STOP : Completion.Finish.LENGTH);
    }

    /// Where the first stop string begins, or -1.
    private int cut() {
        int first = -1;
        for (String stop : stops) {
            int at = text.indexOf(stop);
            if (at >= 0 && (first < 0 || at < first)) {
                first = at;
            }
        }
        return first;
    }

    /// Tells what is certain to stay: nothing that may turn out to be the beginning of a stop string.
    private void tell(int cut, boolean ended, Engine.Listener listener) {
        int end = cut >= 0 ? cut : text.length();
        if (!ended) {
            int held = 0;
            for (String stop : stops) {
                for (int n = Math.min(stop.length() - 1, text.length()); n > held; n--) {
                    if (text.toString().endsWith(stop.substring(0, n))) {
                        held = n;
                        break;
                    }
                }
            }
            end -= held;
        }
        if (end > told) {
            listener.text(prompt, text.substring(told, end));
            told = end;
        }
    }
}

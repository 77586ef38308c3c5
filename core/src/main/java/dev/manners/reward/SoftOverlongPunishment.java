package dev.manners.reward;

import java.util.List;

/// Punishes length softly before it is cut off (DAPO, arXiv:2503.14476, eq. 13); |y| is the length in tokens:
///
/// - |y| ≤ L_max - L_cache: 0
/// - L_max - L_cache < |y| ≤ L_max: ((L_max - L_cache) - |y|) / L_cache
/// - L_max < |y|: -1
///
/// Add it to an accuracy reward. The paper's values are 20,480 and 4,096.
///
/// @param maxLength L_max, > 0
/// @param cache L_cache, over which the punishment grows; in [0, maxLength], and 0 punishes only what is too long
public record SoftOverlongPunishment(int maxLength, int cache) implements Reward {

    public SoftOverlongPunishment {
        if (maxLength <= 0 || cache < 0 || cache > maxLength) {
            throw new IllegalArgumentException("cache " + cache + " is not in [0, max length " + maxLength + "]");
        }
    }

    @Override
    public String name() {
        return "soft_overlong";
    }

    @Override
    public List<Score> score(List<Candidate> candidates) {
        return candidates.stream()
                .map(candidate -> candidate.completionIds().length)
                .map(length -> Score.of(name(), punishment(length), length + " tokens, " + maxLength + " allowed"))
                .toList();
    }

    private double punishment(int length) {
        int free = maxLength - cache;
        if (length <= free) {
            return 0;
        }
        return length <= maxLength ? (double) (free - length) / cache : -1;
    }
}

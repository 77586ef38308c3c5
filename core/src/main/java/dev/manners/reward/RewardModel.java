package dev.manners.reward;

import dev.manners.BadInput;
import dev.manners.NonFinite;
import dev.manners.model.Dropout;
import dev.manners.model.ScalarModel;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.text.ChatFormat;
import dev.manners.text.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// A learned reward: the score that a [ScalarModel] gives prompt and completion at their last token.
///
/// It reads the policy's tokens as they are, so both must have one tokenizer and one chat template
/// ([#requireSameTokens]). A completion that was cut off is scored where it stops, on a token the model has hardly seen
/// scores at: what to do about such ones is the trainer's matter (`missing_eos_penalty`).
///
/// Scores do not depend on the company, but for the last bits that a matrix product of another size rounds otherwise.
public final class RewardModel implements Reward {

    /// Tokens that go through the model together.
    private static final int AT_ONCE = 4096;

    private final String name;
    private final ScalarModel model;
    private final int[] closing;

    /// @param closing what the chat template writes behind the token that ends an answer, often a line break: the
    /// model was trained to be asked there. Empty for plain text
    public RewardModel(String name, ScalarModel model, int... closing) {
        this.name = name;
        this.model = model;
        this.closing = closing.clone();
    }

    /// One that was trained on conversations, rendered by the chat template.
    public static RewardModel ofChat(String name, ScalarModel model, ChatFormat format) {
        return new RewardModel(name, model, format.afterTurnEnd());
    }

    @Override
    public String name() {
        return name;
    }

    /// @throws NonFinite if a score is NaN or infinite
    @Override
    public List<Score> score(List<Candidate> candidates) {
        List<Score> scores = new ArrayList<>();
        List<Candidate> together = new ArrayList<>();
        int tokens = 0;
        for (Candidate candidate : candidates) {
            int length = candidate.promptIds().length + completion(candidate).length;
            if (!together.isEmpty() && tokens + length > AT_ONCE) {
                scores.addAll(scoreTogether(together));
                together.clear();
                tokens = 0;
            }
            together.add(candidate);
            tokens += length;
        }
        if (!together.isEmpty()) {
            scores.addAll(scoreTogether(together));
        }
        return scores;
    }

    private List<Score> scoreTogether(List<Candidate> candidates) {
        // 1. Neighbours that complete one prompt share it.
        List<ScoringBatch.Group> groups = new ArrayList<>();
        int[] prompt = null;
        for (Candidate candidate : candidates) {
            if (unscorable(candidate) != null) {
                continue;
            }
            if (!Arrays.equals(prompt, candidate.promptIds())) {
                prompt = candidate.promptIds();
                groups.add(new ScoringBatch.Group(prompt, new ArrayList<>()));
            }
            groups.getLast().completions().add(completion(candidate));
        }
        // 2. Their scores.
        float[] values = {};
        if (!groups.isEmpty()) {
            try (Scope scope = Scope.open();
                    NoGrad off = NoGrad.on()) {
                values = ScoringBatch.of(groups).scores(model, Dropout.NONE).toFloats();
            }
        }
        // 3. In the candidates' order.
        List<Score> scores = new ArrayList<>();
        int next = 0;
        for (Candidate candidate : candidates) {
            String why = unscorable(candidate);
            if (why != null) {
                scores.add(Score.none(name, why));
                continue;
            }
            float value = values[next++];
            if (!Float.isFinite(value)) {
                throw new NonFinite("reward", name + " scores " + value);
            }
            scores.add(Score.of(
                    name,
                    value,
                    String.format(
                            Locale.ROOT,
                            "%.3f%s",
                            value,
                            candidate.finished() ? "" : ", of an answer that was cut off")));
        }
        return scores;
    }

    private @Nullable String unscorable(Candidate candidate) {
        int length = candidate.promptIds().length + completion(candidate).length;
        return candidate.completionIds().length == 0
                ? "no token to score"
                : length > model.config().maxPositions()
                        ? length + " tokens, the reward model reads "
                                + model.config().maxPositions()
                        : null;
    }

    private int[] completion(Candidate candidate) {
        int[] ids = candidate.completionIds();
        if (!candidate.finished() || closing.length == 0) {
            return ids;
        }
        int[] closed = Arrays.copyOf(ids, ids.length + closing.length);
        System.arraycopy(closing, 0, closed, ids.length, closing.length);
        return closed;
    }

    /// Refuses a reward model that would read other words than the policy writes. Tokens are shared as ids, so that
    /// tokenizer, chat template and the tokens around a text must be the same, and every id must have an embedding.
    ///
    /// @throws BadInput naming all that differs
    public static void requireSameTokens(Tokenizer policy, Tokenizer reward, ScalarModel model) {
        List<String> problems = new ArrayList<>();
        if (!policy.sha256().equals(reward.sha256())) {
            problems.add("tokenizer.json is another: SHA-256 " + policy.sha256().substring(0, 12) + "... and "
                    + reward.sha256().substring(0, 12) + "...");
        }
        if (!policy.chatTemplateSource().equals(reward.chatTemplateSource())) {
            problems.add("the chat template is another");
        }
        if (!policy.templateVariables().equals(reward.templateVariables())
                || !policy.eosId().equals(reward.eosId())) {
            problems.add(
                    "special tokens are others: " + policy.templateVariables() + " and " + reward.templateVariables());
        }
        if (policy.vocabSize() > model.config().vocabSize()) {
            problems.add("the policy has tokens up to " + (policy.vocabSize() - 1)
                    + ", the reward model embeddings for " + model.config().vocabSize());
        }
        if (!problems.isEmpty()) {
            throw new BadInput(BadInput.all("the reward model does not read what the policy writes", problems)
                            .getMessage()
                    + "\nTrain the reward model from the policy's own base.");
        }
    }
}

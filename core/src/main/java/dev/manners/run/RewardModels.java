package dev.manners.run;

import dev.manners.BadInput;
import dev.manners.model.AdapterFiles;
import dev.manners.model.ScalarModel;
import dev.manners.reward.Ensemble;
import dev.manners.reward.Reward;
import dev.manners.reward.RewardModel;
import dev.manners.tensor.DType;
import dev.manners.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Reward models in memory: none, one, or those of an ensemble.
///
/// @param models whose scores are combined; of `warm` the one with the mean of their weights
/// @param reward what they say, or null without any
record RewardModels(List<ScalarModel> models, @Nullable Reward reward) implements AutoCloseable {

    @Override
    public void close() {
        models.forEach(ScalarModel::close);
    }

    /// Loads them.
    ///
    /// @param chat whether prompts are conversations: the models then score behind what the chat template
    /// closes a turn with
    /// @throws BadInput if one is no reward model, or does not read what the policy writes
    static RewardModels open(RewardFuncs funcs, LoadedModel policy, boolean chat, DType dtype, boolean allowNonfinite) {
        List<ScalarModel> models = new ArrayList<>();
        boolean usable = false;
        try {
            for (Path directory : funcs.rewardModel()) {
                if (!AdapterFiles.isAdapter(directory) && !ScalarModel.hasHead(directory)) {
                    throw new BadInput(directory + ": a language model, whose scores would be those of a random head;"
                            + " make a reward model with manners reward");
                }
                models.add(load(directory, policy.tokenizer(), dtype, 0, allowNonfinite));
            }
            if (funcs.ensemble() == RewardFuncs.Combination.WARM) {
                ScalarModel mean = ScalarModel.average(models);
                models.forEach(ScalarModel::close);
                models.clear();
                models.add(mean);
            }
            RewardModels opened = new RewardModels(List.copyOf(models), combined(funcs, models, policy, chat));
            usable = true;
            return opened;
        } finally {
            if (!usable) {
                models.forEach(ScalarModel::close);
            }
        }
    }

    /// The hashes of each one's files, by what it is called.
    static Map<String, Map<String, String>> hashes(RewardFuncs funcs) {
        Map<String, Map<String, String>> hashes = new LinkedHashMap<>();
        for (int i = 0; i < funcs.rewardModel().size(); i++) {
            hashes.putAll(ScalarDirectory.hashes(
                    "reward_model_" + i, funcs.rewardModel().get(i)));
        }
        return hashes;
    }

    /// Loads a model that scores the policy's tokens, or its adapter; a language model gets a fresh head.
    ///
    /// @throws BadInput if it does not read what the policy writes
    static ScalarModel load(Path directory, Tokenizer policy, DType dtype, long seed, boolean allowNonfinite) {
        try (Tokenizer tokenizer = ScalarDirectory.tokenizer(directory)) {
            ScalarModel model = ScalarDirectory.load(directory, dtype, seed, allowNonfinite);
            try {
                RewardModel.requireSameTokens(policy, tokenizer, model);
                return model;
            } catch (BadInput e) {
                model.close();
                throw new BadInput(directory + ": " + e.getMessage(), e);
            }
        }
    }

    private static @Nullable Reward combined(
            RewardFuncs funcs, List<ScalarModel> models, LoadedModel policy, boolean chat) {
        if (models.isEmpty()) {
            return null;
        }
        if (models.size() == 1) {
            return one("reward_model", models.getFirst(), policy, chat);
        }
        List<Reward> members = new ArrayList<>();
        for (int i = 0; i < models.size(); i++) {
            members.add(one("reward_model_" + i, models.get(i), policy, chat));
        }
        return new Ensemble(
                "reward_model",
                members,
                Ensemble.Combination.valueOf(funcs.ensemble().name()),
                funcs.ensembleLambda());
    }

    private static Reward one(String name, ScalarModel model, LoadedModel policy, boolean chat) {
        return chat ? RewardModel.ofChat(name, model, policy.chat().orElseThrow()) : new RewardModel(name, model);
    }
}

package dev.manners.run;

import dev.manners.BadInput;
import dev.manners.config.Options;
import dev.manners.data.DatasetFile;
import dev.manners.data.ModelEncoder;
import dev.manners.data.PreferenceData;
import dev.manners.data.PreferenceRow.Ranking;
import dev.manners.files.AtomicDirectory;
import dev.manners.files.Manifest;
import dev.manners.model.ScalarModel;
import dev.manners.reward.RewardReport;
import dev.manners.tensor.DType;
import dev.manners.train.Outcome;
import dev.manners.train.RewardConfig;
import dev.manners.train.RewardTrainer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/// Reward models of the story: learned from rankings, starting from the fine-tuned model.
///
/// @param rankings to learn from
/// @param heldOut of other prompts
record RewardStage(Story story, RewardConfig config, List<Ranking> rankings, List<Ranking> heldOut) {

    static RewardStage of(Story story, RewardConfig config, Ranked ranked) {
        try (LoadedModel sft = LoadedModel.open(story.sft(), null, Stage.dtype(config.training()), false)) {
            return new RewardStage(
                    story,
                    config,
                    read(story, sft, config, ranked.folder().resolve("rankings.jsonl")),
                    read(story, sft, config, ranked.folder().resolve("heldout.jsonl")));
        }
    }

    private static List<Ranking> read(Story story, LoadedModel sft, RewardConfig config, Path rows) {
        try (DatasetFile file = DatasetFile.open(rows.toString())) {
            return PreferenceData.rankings(
                            file,
                            new ModelEncoder(sft.tokenizer()),
                            config.maxLength(),
                            false,
                            done -> story.interrupts().stopIfRequested())
                    .rows();
        }
    }

    /// The same with only the first rankings, as many as hold so many comparisons.
    RewardStage upTo(int comparisons) {
        List<Ranking> some = new ArrayList<>();
        int sum = 0;
        for (Ranking row : rankings) {
            if (sum >= comparisons) {
                break;
            }
            some.add(row);
            sum += comparisons(row);
        }
        if (sum < comparisons) {
            throw new BadInput("study: " + comparisons + " comparisons are asked for and the rankings hold " + sum
                    + "; raise world.feedback_prompts");
        }
        return new RewardStage(story, config, some, heldOut);
    }

    /// The same with another seed: other first weights of the head, another order of the rows.
    RewardStage seeded(int more) {
        RewardConfig other = Options.changed(config, "seed", config.training().seed() + more);
        return new RewardStage(story, other, rankings, heldOut);
    }

    int comparisons() {
        return rankings.stream().mapToInt(RewardStage::comparisons).sum();
    }

    private static int comparisons(Ranking row) {
        int decided = 0;
        for (int i = 0; i < row.ranks().length; i++) {
            for (int j = i + 1; j < row.ranks().length; j++) {
                decided += row.ranks()[i] == row.ranks()[j] ? 0 : 1;
            }
        }
        return decided;
    }

    /// Read from its folder, or learned and put there.
    ///
    /// @param name of the stage and of the folder
    /// @return null if it was interrupted
    @Nullable
    ScalarModel model(String name) {
        DType dtype = Stage.dtype(config.training());
        Path target = story.folder(name);
        if (Files.exists(target.resolve(Manifest.FILE))) {
            Manifest.verify(target);
            return ScalarModel.load(target, dtype, 0, false);
        }
        story.begins(name, "a model learns to predict the rankings");
        try (LoadedModel sft = LoadedModel.open(story.sft(), null, dtype, false);
                Progress progress = Progress.of(name)) {
            ScalarModel model = ScalarModel.of(sft.decoder(), config.training().seed());
            boolean done = false;
            try {
                Outcome outcome = new RewardTrainer(
                                model,
                                config,
                                rankings,
                                List.of(),
                                story.tracker(name, progress),
                                story.checkpoints(name),
                                story.fingerprint(config, dtype, Map.of("model", story.sft())),
                                story.interrupts()::requested)
                        .train();
                if (outcome.interrupted()) {
                    story.out().println(FineTuning.interrupted(outcome));
                    return null;
                }
                try (AtomicDirectory folder = AtomicDirectory.create(target)) {
                    model.save(folder.path(), DType.F32, sft.tokenizer().padId());
                    sft.tokenizer().save(folder.path());
                    folder.commit(Map.of("stage", name));
                }
                done = true;
                return model;
            } finally {
                if (!done) {
                    model.close();
                }
            }
        }
    }

    /// How well it tells the better of two held-out answers.
    ///
    /// @return null if it was interrupted
    @Nullable
    RewardReport report(ScalarModel model) {
        List<float[]> scores = RewardTrainer.scores(model, heldOut, story.interrupts()::requested);
        return scores == null ? null : RewardReport.of(heldOut, scores);
    }

    /// Scores of the answers of the first rankings, one after the other.
    ///
    /// @return null if it was interrupted
    double @Nullable [] scores(ScalarModel model, int most) {
        List<Ranking> some = rankings.subList(0, Math.min(most, rankings.size()));
        List<float[]> scores = RewardTrainer.scores(model, some, story.interrupts()::requested);
        return scores == null
                ? null
                : scores.stream()
                        .flatMapToDouble(row -> IntStream.range(0, row.length).mapToDouble(i -> row[i]))
                        .toArray();
    }
}

package dev.manners.run;

import dev.manners.BadInput;
import dev.manners.data.DatasetFile;
import dev.manners.data.DatasetSlice;
import dev.manners.data.ModelEncoder;
import dev.manners.data.Prompts;
import dev.manners.files.AtomicFile;
import dev.manners.files.Json;
import dev.manners.files.Printable;
import dev.manners.files.RegularFile;
import dev.manners.model.ModelDirectory;
import dev.manners.reward.Candidate;
import dev.manners.reward.Reward;
import dev.manners.reward.judge.RemoteModel;
import dev.manners.rollout.Completion;
import dev.manners.rollout.Sampling;
import dev.manners.stats.BestOfN;
import dev.manners.stats.Interval;
import dev.manners.tensor.DType;
import dev.manners.tensor.Inference;
import dev.manners.tensor.LibTorch;
import dev.manners.train.Tracker;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// Several completions of each prompt, scored by a proxy and, where there is one, by gold: what giving the best of n
/// earns, and each prompt's best as a dataset. Nothing is trained.
///
/// Two halves: completions are sampled, scored and kept, a lot at a time, and an interrupted run goes on behind
/// the last lot; then everything is computed from what was kept.
///
/// @param adapter PEFT directory to attach to the model, or null
/// @param promptField column of the prompt
/// @param slots completions generated at a time
/// @param samples completions of each prompt
/// @param proxy what chooses
/// @param gold what is earned, or null
/// @param resolved all options, for the record
public record BestOf(
        Path model,
        @Nullable Path adapter,
        DType dtype,
        boolean allowNonfinite,
        String dataset,
        String promptField,
        Path outputDir,
        boolean skipBad,
        int slots,
        int samples,
        Sampling sampling,
        RewardFuncs proxy,
        @Nullable RewardFuncs gold,
        Map<String, Object> resolved,
        List<String> command,
        PrintStream out) {

    /// Lots hold so many times as many completions as are generated at a time, so that few places stand empty at a
    /// lot's end.
    private static final int ROUNDS = 4;

    /// @return whether it came to its end; false if it was interrupted
    public boolean run(Interrupts interrupts) {
        Instant began = Instant.now();
        refuseAtOnce();
        try (RunDirectory run = RunDirectory.open(outputDir, resolved, directories());
                LoadedModel policy = LoadedModel.open(model, adapter, dtype, allowNonfinite);
                DatasetFile file = DatasetFile.open(dataset);
                Progress progress = Progress.of("best-of")) {
            run.warnings().forEach(w -> System.err.println("manners: " + w));
            LibTorch.warnings().forEach(w -> System.err.println("manners: " + w));
            Inference.warnings().forEach(w -> System.err.println("manners: " + w));
            Prompts prompts = Prompts.of(
                    file,
                    promptField,
                    new ModelEncoder(policy.tokenizer()),
                    policy.decoder().config().maxPositions() - 1,
                    skipBad,
                    n -> interrupts.stopIfRequested());
            out.println(Printable.escape(file.path() + ": " + prompts.size() + " prompts, the longest of "
                    + prompts.longest() + " tokens"
                    + (prompts.rejects().isEmpty()
                            ? ""
                            : "; " + prompts.rejects().size() + " rows left out")));
            Map<String, Object> sources = sources(file);
            ScoredCompletions kept = ScoredCompletions.open(run.path(), fingerprint(sources, file), samples);
            Tracker tracker = Tracker.all(List.of(
                    new MetricsLog(run.path(), "best-of"),
                    new TensorBoardEvents(run.path().resolve("tensorboard"), "best-of/"),
                    progress));
            tracker.event("started", Map.of("prompts", kept.prompts()));
            if (!sample(policy, prompts, kept, tracker, interrupts)) {
                out.println("Interrupted after " + kept.prompts() + " of " + prompts.size()
                        + " prompts, which are kept. The same command goes on.");
                return false;
            }
            progress.close();
            finish(run, kept, tracker, sources, began);
            return true;
        } catch (Interrupts.Stopped e) {
            out.println("Interrupted while the prompts were read. The same command starts again.");
            return false;
        }
    }

    /// What can be seen to be wrong before anything is read or written, all in one message.
    private void refuseAtOnce() {
        List<String> problems = new ArrayList<>(ModelDirectory.problems(model, null));
        rewardModels().forEach(d -> problems.addAll(ScalarDirectory.problems(d)));
        try {
            RegularFile.require(DatasetSlice.parse(dataset).file());
        } catch (BadInput e) {
            problems.addAll(e.problems());
        }
        if (!sampling.doSample()) {
            problems.add("do_sample is false: all completions of a prompt would be the same");
        }
        if (gold != null) {
            gold.problems().forEach(problem -> problems.add("of gold_funcs: " + problem));
            if (gold.comparesGroups()) {
                problems.add("gold_funcs holds pairwise_judge, whose mean over a prompt's completions is 0.5 whatever"
                        + " they are: use judge");
            }
        }
        problems.addAll(RewardFuncs.unused(gold == null ? List.of(proxy) : List.of(proxy, gold)));
        if (!problems.isEmpty()) {
            throw BadInput.all("inputs", problems);
        }
    }

    /// Every model directory that is given, the policy's first.
    private List<Path> directories() {
        return Stream.concat(Stream.of(model), rewardModels().stream())
                .distinct()
                .toList();
    }

    private List<Path> rewardModels() {
        return Stream.concat(
                        proxy.rewardModel().stream(), gold == null ? Stream.<Path>of() : gold.rewardModel().stream())
                .distinct()
                .toList();
    }

    private Map<String, Object> sources(DatasetFile file) {
        Map<String, Object> sources = new LinkedHashMap<>();
        sources.put("model", LoadedModel.hashes(model));
        if (adapter != null) {
            sources.put("adapter", LoadedModel.hashes(adapter));
        }
        sources.putAll(RewardModels.hashes(proxy));
        if (gold != null) {
            RewardModels.hashes(gold).forEach((role, hashes) -> sources.put("gold_" + role, hashes));
        }
        sources.put("dataset", Map.of(file.path().getFileName().toString(), file.sha256()));
        return sources;
    }

    private Map<String, String> fingerprint(Map<String, Object> sources, DatasetFile file) {
        Map<String, String> fingerprint = Fingerprint.of(resolved, dtype);
        sources.forEach((role, hashes) -> fingerprint.put(role, hashes.toString()));
        fingerprint.put("dataset", file.sha256() + " " + file.range());
        return fingerprint;
    }

    // ---- completions

    /// @return false if it was asked to stop
    private boolean sample(
            LoadedModel policy, Prompts prompts, ScoredCompletions kept, Tracker tracker, Interrupts interrupts) {
        if (kept.prompts() > 0) {
            out.println("Going on behind the " + kept.prompts() + " prompts that are done.");
        }
        boolean chat = prompts.chat();
        int length = sampling.maxNewTokens();
        try (RewardModels models = RewardModels.open(proxy, policy, chat, dtype, allowNonfinite);
                RemoteModel judge = proxy.openJudge(tracker);
                RewardModels goldModels =
                        gold == null ? null : RewardModels.open(gold, policy, chat, dtype, allowNonfinite);
                RemoteModel goldJudge = gold == null ? null : gold.openJudge(tracker)) {
            Reward chooses = proxy.reward(policy.tokenizer(), length, models.reward(), judge);
            Reward earns = gold == null || goldModels == null
                    ? null
                    : gold.reward(policy.tokenizer(), length, goldModels.reward(), goldJudge);
            int lot = Math.max(1, ROUNDS * slots / samples);
            double tokens = 0;
            while (kept.prompts() < prompts.size()) {
                int from = kept.prompts();
                List<Prompts.Prompt> asked = new ArrayList<>();
                for (int i = from; i < Math.min(from + lot, prompts.size()); i++) {
                    asked.add(prompts.get(i));
                }
                // Numbered through the file, so that neither lots nor interruptions change a completion.
                List<Completion> made = policy.engine(slots)
                        .rollout(
                                asked.stream().map(Prompts.Prompt::ids).toList(),
                                samples,
                                sampling,
                                from,
                                interrupts::requested);
                if (made == null) {
                    return false;
                }
                List<Candidate> candidates = new ArrayList<>();
                for (Completion c : made) {
                    Prompts.Prompt p = asked.get(c.prompt());
                    boolean finished = c.finish() == Completion.Finish.STOP;
                    candidates.add(new Candidate(p.prompt(), p.ids(), c.text(), c.ids(), finished, p.columns()));
                    tokens += p.ids().length + c.ids().length;
                }
                kept.add(candidates, chooses.score(candidates), earns == null ? null : earns.score(candidates));
                tracker.progress(kept.prompts(), prompts.size(), Map.of("num_tokens", tokens));
                if (interrupts.requested() && kept.prompts() < prompts.size()) {
                    return false;
                }
            }
            return true;
        }
    }

    // ---- what is made of them

    private void finish(
            RunDirectory run, ScoredCompletions kept, Tracker tracker, Map<String, Object> sources, Instant began) {
        StringBuilder best = new StringBuilder();
        List<BestOfN.Scored> byProxy = new ArrayList<>();
        List<BestOfN.Scored> byGold = new ArrayList<>();
        int[] count = new int[3]; // prompts, those in the estimate, those without a best
        kept.forEach(group -> {
            count[0]++;
            List<Double> proxies = ScoredCompletions.values(group, "reward");
            List<Double> golds = gold == null ? proxies : ScoredCompletions.values(group, "gold");
            // A prompt of which a completion could not be scored has no best of N; a curve over fewer would bend.
            if (proxies.size() == samples && golds.size() == samples) {
                count[1]++;
                byProxy.add(new BestOfN.Scored(proxies, proxies));
                byGold.add(new BestOfN.Scored(proxies, golds));
            }
            ObjectNode row = best(group);
            if (row == null) {
                count[2]++;
            } else {
                best.append(row).append('\n');
            }
        });
        AtomicFile.write(run.path().resolve("best.jsonl"), best.toString());
        curve(BestOfN.expected(byProxy), gold == null ? null : BestOfN.expected(byGold), tracker);
        run.finish(
                command,
                sources,
                List.of("best.jsonl", "metrics.jsonl", ScoredCompletions.FILE, "config.yaml"),
                Map.of("prompts", count[0], "prompts_in_metrics", count[1], "prompts_without_best", count[2]),
                began);
        if (count[1] < count[0]) {
            out.println((count[0] - count[1])
                    + " prompts are not in the table: not all of their completions could be scored.");
        }
        if (count[2] > 0) {
            out.println(count[2] + " prompts are not in best.jsonl: no completion of theirs ended by itself and has a"
                    + " reward.");
        }
        out.printf(
                Locale.ROOT, "Done: the best of %d in %s%n", samples, run.path().resolve("best.jsonl"));
    }

    /// A row for `sft`: the first of the best that ended by themselves. One that was cut off would teach to end there.
    private static @Nullable ObjectNode best(List<ObjectNode> group) {
        ObjectNode best = null;
        for (ObjectNode one : group) {
            if (one.path("finished").asBoolean()
                    && one.path("reward").isNumber()
                    && (best == null
                            || one.path("reward").doubleValue()
                                    > best.path("reward").doubleValue())) {
                best = one;
            }
        }
        if (best == null) {
            return null;
        }
        JsonNode prompt = Objects.requireNonNull(best.get("prompt"));
        ObjectNode row = Json.MAPPER.createObjectNode();
        row.set("prompt", prompt);
        String text = best.path("completion").asString();
        if (prompt instanceof ArrayNode) {
            row.putArray("completion").addObject().put("role", "assistant").put("content", text);
        } else {
            row.put("completion", text);
        }
        row.set("reward", best.get("reward"));
        return row;
    }

    /// Tells and prints, for every n, the KL and what the best of n earns.
    private void curve(List<Interval> proxies, @Nullable List<Interval> golds, Tracker tracker) {
        out.printf(Locale.ROOT, "%7s  %6s  %-26s%s%n", "best of", "KL", "proxy", golds == null ? "" : "gold");
        for (int n = 1; n <= proxies.size(); n++) {
            Map<String, Double> metrics = new LinkedHashMap<>();
            metrics.put("kl", BestOfN.kl(n));
            put(metrics, "proxy", proxies.get(n - 1));
            if (golds != null) {
                put(metrics, "gold", golds.get(n - 1));
            }
            tracker.metrics(n, metrics);
            out.printf(
                    Locale.ROOT,
                    "%7d  %6.3f  %-26s%s%n",
                    n,
                    BestOfN.kl(n),
                    shown(proxies.get(n - 1)),
                    golds == null ? "" : shown(golds.get(n - 1)));
        }
    }

    private static void put(Map<String, Double> metrics, String name, Interval mean) {
        metrics.put(name, mean.estimate());
        metrics.put(name + "/low", mean.low());
        metrics.put(name + "/high", mean.high());
    }

    private static String shown(Interval mean) {
        return String.format(Locale.ROOT, "%.3f [%.3f, %.3f]", mean.estimate(), mean.low(), mean.high());
    }
}

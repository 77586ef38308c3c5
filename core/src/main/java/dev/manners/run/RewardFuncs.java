package dev.manners.run;

import dev.manners.BadInput;
import dev.manners.config.Checked;
import dev.manners.config.Key;
import dev.manners.reward.AnswerRule;
import dev.manners.reward.ChainArithmetic;
import dev.manners.reward.CosineLengthReward;
import dev.manners.reward.Countdown;
import dev.manners.reward.ExactMatch;
import dev.manners.reward.FormatReward;
import dev.manners.reward.InstructionChecks;
import dev.manners.reward.JsonSchema;
import dev.manners.reward.MathEquivalence;
import dev.manners.reward.MultipleChoice;
import dev.manners.reward.NumericAnswer;
import dev.manners.reward.PrefixMatch;
import dev.manners.reward.RegexMatch;
import dev.manners.reward.RepetitionPenalty;
import dev.manners.reward.Reward;
import dev.manners.reward.RuleConfig;
import dev.manners.reward.SoftOverlongPunishment;
import dev.manners.reward.Verifier;
import dev.manners.reward.WeightedReward;
import dev.manners.reward.code.CodeConfig;
import dev.manners.reward.code.CodeReward;
import dev.manners.reward.judge.JudgeConfig;
import dev.manners.reward.judge.PairwiseJudge;
import dev.manners.reward.judge.RemoteModel;
import dev.manners.reward.judge.RubricJudge;
import dev.manners.reward.judge.WinRates;
import dev.manners.text.Tokenizer;
import dev.manners.train.Tracker;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Which rewards a run learns from, by name, and how much each counts.
///
/// @param rules details of those that a rule gives
/// @param code of the reward `code`; null: it is not among them
/// @param judge of `judge` and `pairwise_judge`; likewise
public record RewardFuncs(
        @Key(
                value = "Rewards: accuracy, numeric_answer, exact_match, regex_match, multiple_choice, countdown,"
                        + " chain_arithmetic, prefix_match, json_schema, instructions, length_cosine, format,"
                        + " repetition, soft_overlong, code, judge, pairwise_judge, reward_model; none: reward_model",
                byDefault = "[]")
        List<String> rewardFuncs,

        @Key(
                value = "Directory of what reward_funcs calls reward_model, or its adapter's; several are an ensemble",
                byDefault = "[]")
        List<Path> rewardModel,

        @Key(
                value =
                        "How several become one: the mean of their scores, the least (wco), the mean less ensemble_lambda"
                                + " times the variance (uwo); or one model with the mean of their weights (warm)",
                byDefault = "mean")
        Combination ensemble,

        @Key(value = "λ of ensemble uwo", byDefault = "0.1", min = 0)
        double ensembleLambda,

        @Key(value = "Weight of each; none: 1", byDefault = "[]")
        List<String> rewardWeights,

        @Key(value = "Where in a completion its answer stands", byDefault = "gsm8k")
        AnswerRule answerRule,

        @Key(value = "Column with the answer expected", byDefault = "answer")
        String answerColumn,

        RuleConfig rules,

        @Nullable CodeConfig code,

        @Nullable JudgeConfig judge)
        implements Checked {

    /// Names and weights may stand in one text with commas between them, as a shell's words do.
    public RewardFuncs {
        rewardFuncs = parted(rewardFuncs);
        rewardWeights = parted(rewardWeights);
    }

    private static List<String> parted(List<String> words) {
        return words.stream()
                .flatMap(word -> Arrays.stream(word.split(",")))
                .map(String::strip)
                .filter(word -> !word.isEmpty())
                .toList();
    }

    /// How several reward models become one.
    public enum Combination {
        MEAN,
        WCO,
        UWO,
        WARM
    }

    private enum Name {
        /// Mathematical equivalence, as TRL's `accuracy_reward`.
        ACCURACY,
        NUMERIC_ANSWER,
        EXACT_MATCH,
        REGEX_MATCH,
        MULTIPLE_CHOICE,
        COUNTDOWN,
        CHAIN_ARITHMETIC,
        PREFIX_MATCH,
        JSON_SCHEMA,
        INSTRUCTIONS,
        /// Of the first named of those above.
        LENGTH_COSINE,
        FORMAT,
        REPETITION,
        SOFT_OVERLONG,
        /// Runs what was written.
        CODE,
        /// A remote model grades by a rubric.
        JUDGE,
        /// A remote model compares the completions of a prompt.
        PAIRWISE_JUDGE,
        REWARD_MODEL
    }

    @Override
    public List<String> problems() {
        List<String> problems = new ArrayList<>();
        String known = Arrays.stream(Name.values()).map(RewardFuncs::lower).collect(Collectors.joining(", "));
        for (String name : rewardFuncs) {
            if (Arrays.stream(Name.values()).noneMatch(n -> lower(n).equals(name))) {
                problems.add("reward_funcs holds " + name + ", expected some of " + known);
            }
        }
        if (names().isEmpty()) {
            problems.add("reward_funcs is empty, expected some of " + known + "; or give a reward_model");
        }
        if (!rewardWeights.isEmpty() && rewardWeights.size() != names().size()) {
            problems.add("reward_weights has " + rewardWeights.size() + " numbers and reward_funcs " + names().size()
                    + " names: give one for each");
        }
        if (names().contains(lower(Name.REWARD_MODEL)) == rewardModel.isEmpty()) {
            problems.add(
                    rewardModel.isEmpty()
                            ? "reward_funcs holds reward_model, but no reward_model names its directory"
                            : "reward_model is given, but reward_funcs does not hold reward_model");
        }
        if (holds(Name.CODE) && code == null) {
            problems.add("reward_funcs holds code, but no code_language says what completions are written in: python"
                    + " or java");
        }
        if (judges() && judge == null) {
            problems.add("reward_funcs holds a judge, but no judge_model and judge_rubric say who judges, and by what");
        }
        if (ensemble != Combination.MEAN && rewardModel.size() < 2) {
            problems.add("ensemble combines several reward models, and " + rewardModel.size()
                    + " are given: repeat --reward-model");
        }
        if (rewardFuncs.contains(lower(Name.LENGTH_COSINE))
                && verified().findFirst().isEmpty()) {
            problems.add(
                    "reward_funcs holds length_cosine, but no verifier whose answers it could weigh by their length");
        }
        for (String weight : rewardWeights) {
            try {
                if (!Double.isFinite(Double.parseDouble(weight))) {
                    problems.add("reward_weights holds " + weight + ", expected finite numbers");
                }
            } catch (NumberFormatException e) {
                problems.add("reward_weights holds " + weight + ", expected numbers");
            }
        }
        return problems;
    }

    /// The verifiers among the rewards, in the order they are named.
    private Stream<Name> verified() {
        return rewardFuncs.stream()
                .flatMap(text ->
                        Arrays.stream(Name.values()).filter(name -> lower(name).equals(text)))
                .filter(name -> name.compareTo(Name.LENGTH_COSINE) < 0);
    }

    private static String lower(Name name) {
        return name.name().toLowerCase(Locale.ROOT);
    }

    /// The rewards there are: a reward model that is given need not be named.
    List<String> names() {
        return rewardFuncs.isEmpty() && !rewardModel.isEmpty() ? List.of(lower(Name.REWARD_MODEL)) : rewardFuncs;
    }

    private boolean holds(Name name) {
        return names().contains(lower(name));
    }

    private boolean judges() {
        return holds(Name.JUDGE) || comparesGroups();
    }

    /// Whether one of them has nothing to say about a completion that is alone with its prompt.
    boolean comparesGroups() {
        return holds(Name.PAIRWISE_JUDGE);
    }

    /// The same options for other rewards.
    public RewardFuncs with(List<String> funcs, List<String> weights, List<Path> models) {
        return new RewardFuncs(
                funcs,
                models,
                models.size() < 2 ? Combination.MEAN : ensemble,
                ensembleLambda,
                weights,
                answerRule,
                answerColumn,
                rules,
                code,
                judge);
    }

    /// What was given for a reward that none of a run's sets holds.
    static List<String> unused(List<RewardFuncs> sets) {
        List<String> problems = new ArrayList<>();
        if (sets.getFirst().code != null && sets.stream().noneMatch(s -> s.holds(Name.CODE))) {
            problems.add("options code_... are given, but no reward is code");
        }
        if (sets.getFirst().judge != null && sets.stream().noneMatch(RewardFuncs::judges)) {
            problems.add("options judge_... are given, but no reward is judge or pairwise_judge");
        }
        return problems;
    }

    /// The model that judges, to be closed after the last reward.
    ///
    /// @param tracker hears of what was not answered, and at the end of what was used
    /// @return null where nobody judges
    /// @throws BadInput if the environment has no such API key
    @Nullable
    RemoteModel openJudge(Tracker tracker) {
        Object turn = new Object(); // several requests are under way at once
        return judge == null || !judges()
                ? null
                : RemoteModel.open(judge, (name, details) -> {
                    synchronized (turn) {
                        tracker.event(name, details);
                    }
                });
    }

    /// Their weighted sum. A reward model alone is not held back where it fails, as one beside others is: a model that
    /// is broken must end the run.
    ///
    /// @param policy whose tokens prompts are
    /// @param maxCompletionLength where completions are cut off
    /// @param learned the reward model, where there is one
    /// @param judging what [#openJudge] gave
    Reward reward(Tokenizer policy, int maxCompletionLength, @Nullable Reward learned, @Nullable RemoteModel judging) {
        if (learned != null && names().size() == 1 && rewardWeights.isEmpty()) {
            return learned;
        }
        List<Reward> rewards = names().stream()
                .map(name ->
                        of(Name.valueOf(name.toUpperCase(Locale.ROOT)), policy, maxCompletionLength, learned, judging))
                .toList();
        List<Double> weights = rewardWeights.isEmpty()
                ? rewards.stream().map(r -> 1.0).toList()
                : rewardWeights.stream().map(Double::parseDouble).toList();
        return new WeightedReward(rewards, weights);
    }

    private Reward of(
            Name name,
            Tokenizer policy,
            int maxCompletionLength,
            @Nullable Reward learned,
            @Nullable RemoteModel judging) {
        String called = lower(name);
        return switch (name) {
            case ACCURACY -> new Verifier(called, answerRule, new MathEquivalence(answerColumn));
            case NUMERIC_ANSWER ->
                new Verifier(called, answerRule, new NumericAnswer(answerColumn, rules.numericTolerance()));
            case EXACT_MATCH -> new Verifier(called, answerRule, new ExactMatch(answerColumn, false));
            case REGEX_MATCH -> new Verifier(called, answerRule, new RegexMatch(answerColumn));
            case MULTIPLE_CHOICE -> new Verifier(called, answerRule, new MultipleChoice(answerColumn, "choices"));
            case COUNTDOWN -> new Verifier(called, answerRule, new Countdown("target", "nums"));
            case CHAIN_ARITHMETIC -> new ChainArithmetic(answerRule, answerColumn);
            case PREFIX_MATCH -> new PrefixMatch(answerColumn, rules.prefixMatchEnd());
            case JSON_SCHEMA -> new Verifier(called, answerRule, new JsonSchema("schema"));
            case INSTRUCTIONS ->
                new Verifier(called, AnswerRule.WHOLE, new InstructionChecks("instruction_id_list", "kwargs"));
            case LENGTH_COSINE ->
                new CosineLengthReward(
                        of(verified().findFirst().orElseThrow(), policy, maxCompletionLength, learned, judging),
                        maxCompletionLength,
                        rules);
            case FORMAT -> FormatReward.of(policy);
            case REPETITION -> new RepetitionPenalty(rules.repetitionNgrams(), rules.repetitionMaxPenalty());
            case SOFT_OVERLONG ->
                new SoftOverlongPunishment(maxCompletionLength, Math.min(rules.softPunishCache(), maxCompletionLength));
            case CODE -> CodeReward.open(Objects.requireNonNull(code));
            case JUDGE -> new RubricJudge(Objects.requireNonNull(judging), rubric());
            case PAIRWISE_JUDGE -> new WinRates(new PairwiseJudge(Objects.requireNonNull(judging), rubric()));
            case REWARD_MODEL -> Objects.requireNonNull(learned, "the reward model");
        };
    }

    private String rubric() {
        return Objects.requireNonNull(judge).judgeRubric();
    }
}

package dev.manners.run;

import dev.manners.BadInput;
import dev.manners.config.Checked;
import dev.manners.config.Key;
import dev.manners.config.Options;
import dev.manners.parrot.ChainSettings;
import dev.manners.parrot.Settings;
import dev.manners.train.GrpoConfig;
import dev.manners.train.PpoConfig;
import dev.manners.train.RewardConfig;
import dev.manners.train.SftConfig;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/// The recipe of the built-in story: a world, a model, how it is pretrained and fine-tuned, who ranks its answers and
/// how
/// it is optimised to please them, and how it learns from what a rule can verify.
public record ParrotRecipe(
        Top top,
        Needs needs,
        Settings world,
        Model model,
        SftConfig pretrain,
        SftConfig sft,
        Ranked.Plan annotators,
        RewardConfig reward,
        PpoConfig ppo,
        ChainSettings chains,
        SftConfig chainSft,
        GrpoConfig grpo) {

    /// What stands outside all sections.
    public record Top(
            @Key(value = "Kind of recipe", byDefault = "parrot")
            Kind recipe,

            @Key(value = "Seed of the world, the weights, the order of the rows", byDefault = "42", min = 0)
            long seed,

            @Key(
                    value =
                            "Where the story ends: after fine-tuning, after the branch that pleases, or with both branches",
                    byDefault = "all")
            Until until) {

        /// Kinds of recipe.
        public enum Kind {
            PARROT
        }

        /// Ends of the story.
        public enum Until {
            SFT,
            RLHF,
            ALL
        }
    }

    /// What `manners doctor` compares with the machine.
    public record Needs(
            @Key(value = "Memory of the process at its highest, MB", byDefault = "0", min = 0)
            long memoryMb,

            @Key(value = "Disk the run's folder takes, MB", byDefault = "0", min = 0)
            long diskMb) {}

    /// The base model: a Llama of this size.
    public record Model(
            @Key(value = "Tokens of the byte-level BPE", byDefault = "1024", min = 300, max = 100_000)
            int vocabSize,

            @Key(value = "Width of the residual stream", byDefault = "128", min = 2)
            int hiddenSize,

            @Key(value = "Width inside the MLP", byDefault = "352", min = 1)
            int intermediateSize,

            @Key(value = "Blocks", byDefault = "4", min = 1) int layers,

            @Key(value = "Attention heads", byDefault = "4", min = 1)
            int heads,

            @Key(value = "Longest sequence in tokens", byDefault = "512", min = 16)
            int maxPositions)
            implements Checked {

        @Override
        public List<String> problems() {
            return hiddenSize % (2 * heads) == 0
                    ? List.of()
                    : List.of("model.hidden_size is " + hiddenSize + " and model.heads " + heads
                            + ": each head needs an even number of dimensions, so hidden_size must be a multiple of "
                            + 2 * heads);
        }
    }

    private static final Map<String, Class<? extends Record>> SECTIONS = sections();

    private static Map<String, Class<? extends Record>> sections() {
        Map<String, Class<? extends Record>> sections = new LinkedHashMap<>();
        sections.put("needs", Needs.class);
        sections.put("world", Settings.class);
        sections.put("model", Model.class);
        sections.put("pretrain", SftConfig.class);
        sections.put("sft", SftConfig.class);
        sections.put("annotators", Ranked.Plan.class);
        sections.put("reward", RewardConfig.class);
        sections.put("ppo", PpoConfig.class);
        sections.put("chains", ChainSettings.class);
        sections.put("chain_sft", SftConfig.class);
        sections.put("grpo", GrpoConfig.class);
        return sections;
    }

    /// Binds a recipe's options; everything that is wrong with them is reported at once.
    public static ParrotRecipe bind(Options options) {
        List<String> problems = new ArrayList<>();
        TreeSet<String> known = new TreeSet<>();
        Options.describe(Top.class).forEach(doc -> known.add(doc.key()));
        SECTIONS.forEach((name, type) -> Options.describe(type).forEach(doc -> known.add(name + "." + doc.key())));
        Options top = options.top();
        for (String key : options.keys()) {
            int dot = key.indexOf('.');
            if (dot >= 0 && !SECTIONS.containsKey(key.substring(0, dot))) {
                problems.add(options.where(key) + ": unknown option " + key + Options.nearest(key, known));
            }
        }
        Map<String, Record> bound = new LinkedHashMap<>();
        collect(top, Top.class, "", bound, problems);
        SECTIONS.forEach((name, type) -> {
            Options section = options.section(name);
            boolean seeded =
                    Options.describe(type).stream().anyMatch(doc -> doc.key().equals("seed"));
            if (seeded && !section.keys().contains("seed")) {
                top.copy("seed", section);
            }
            collect(section, type, name, bound, problems);
        });
        if (!problems.isEmpty()) {
            throw BadInput.all("recipe", problems);
        }
        return new ParrotRecipe(
                get(bound, "", Top.class),
                get(bound, "needs", Needs.class),
                get(bound, "world", Settings.class),
                get(bound, "model", Model.class),
                get(bound, "pretrain", SftConfig.class),
                get(bound, "sft", SftConfig.class),
                get(bound, "annotators", Ranked.Plan.class),
                get(bound, "reward", RewardConfig.class),
                get(bound, "ppo", PpoConfig.class),
                get(bound, "chains", ChainSettings.class),
                get(bound, "chain_sft", SftConfig.class),
                get(bound, "grpo", GrpoConfig.class));
    }

    private static void collect(
            Options options,
            Class<? extends Record> type,
            String name,
            Map<String, Record> bound,
            List<String> problems) {
        try {
            bound.put(name, options.bind(type));
        } catch (BadInput e) {
            problems.addAll(e.problems());
        }
    }

    private static <T> T get(Map<String, Record> bound, String name, Class<T> type) {
        return type.cast(java.util.Objects.requireNonNull(bound.get(name)));
    }

    /// All options by their full keys; binding them again gives an equal recipe.
    public Map<String, Object> resolved() {
        Map<String, Object> resolved = new LinkedHashMap<>(Options.toMap(top));
        Map<String, Record> sections = new LinkedHashMap<>();
        sections.put("needs", needs);
        sections.put("world", world);
        sections.put("model", model);
        sections.put("pretrain", pretrain);
        sections.put("sft", sft);
        sections.put("annotators", annotators);
        sections.put("reward", reward);
        sections.put("ppo", ppo);
        sections.put("chains", chains);
        sections.put("chain_sft", chainSft);
        sections.put("grpo", grpo);
        sections.forEach(
                (name, record) -> Options.toMap(record).forEach((key, value) -> resolved.put(name + "." + key, value)));
        return resolved;
    }
}

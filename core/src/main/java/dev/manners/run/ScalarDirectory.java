package dev.manners.run;

import dev.manners.BadInput;
import dev.manners.files.AtomicDirectory;
import dev.manners.files.AtomicFile;
import dev.manners.model.AdapterFiles;
import dev.manners.model.ModelDirectory;
import dev.manners.model.ScalarModel;
import dev.manners.tensor.DType;
import dev.manners.text.Tokenizer;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/// Directories of reward and value models: whole models, and adapters that stand beside their base.
public final class ScalarDirectory {

    private ScalarDirectory() {}

    // ---- from the disk

    /// What is wrong with a directory at the first look, weights unread. An adapter is as good as a model if its base
    /// is where it says.
    static List<String> problems(Path directory) {
        if (!AdapterFiles.isAdapter(directory)) {
            return ModelDirectory.problems(directory, null);
        }
        try {
            if (!AdapterFiles.isScored(directory)) {
                return List.of(directory + ": the adapter of a language model, whose scores would be those of a random"
                        + " head; make a reward model with manners reward");
            }
            Path base = AdapterFiles.base(directory);
            return base == null ? List.of(withoutBase(directory)) : ModelDirectory.problems(base, null);
        } catch (BadInput e) {
            return e.problems();
        }
    }

    private static String withoutBase(Path adapter) {
        return adapter + ": the adapter of a reward model whose base \"" + AdapterFiles.baseName(adapter)
                + "\" (base_model_name_or_path in adapter_config.json) is no folder here; make one directory of both and"
                + " give that, with the base's folder for BASE: " + AdapterFiles.mergeCommand(adapter);
    }

    /// Where the whole model is that a directory stands for: itself, or an adapter's base.
    private static Path whole(Path directory) {
        if (!AdapterFiles.isAdapter(directory)) {
            return directory;
        }
        List<String> problems = problems(directory);
        Path base = AdapterFiles.base(directory);
        if (base == null || !problems.isEmpty()) {
            throw BadInput.all("adapter", problems);
        }
        return base;
    }

    /// The tokenizer of a model, of an adapter that of its base.
    static Tokenizer tokenizer(Path directory) {
        return Tokenizer.load(whole(directory));
    }

    /// Loads a whole model, or a base with an adapter merged into it; see [ScalarModel#load].
    static ScalarModel load(Path directory, DType dtype, long seed, boolean allowNonfinite) {
        Path whole = whole(directory);
        if (whole.equals(directory)) {
            return ScalarModel.load(directory, dtype, seed, allowNonfinite);
        }
        ScalarModel model = open(whole, directory, dtype, seed, allowNonfinite);
        model.merge();
        return model;
    }

    /// Loads a model and attaches an adapter, if one is given.
    private static ScalarModel open(
            Path directory, @Nullable Path adapter, DType dtype, long seed, boolean allowNonfinite) {
        ScalarModel model = ScalarModel.load(directory, dtype, seed, allowNonfinite);
        boolean usable = false;
        try {
            if (adapter != null) {
                model.attach(adapter);
            }
            usable = true;
            return model;
        } finally {
            if (!usable) {
                model.close();
            }
        }
    }

    /// The hashes of all files that a directory stands for.
    ///
    /// @param role what it is called; an adapter's base is `role_base`
    static Map<String, Map<String, String>> hashes(String role, Path directory) {
        Map<String, Map<String, String>> hashes = new LinkedHashMap<>();
        hashes.put(role, LoadedModel.hashes(directory));
        if (AdapterFiles.isAdapter(directory)) {
            hashes.put(role + "_base", LoadedModel.hashes(whole(directory)));
        }
        return hashes;
    }

    // ---- to the disk

    /// A token that no sequence ends with, by which transformers finds a sequence's last one.
    static OptionalInt padId(Tokenizer tokenizer) {
        return tokenizer.padId().equals(tokenizer.eosId()) ? OptionalInt.empty() : tokenizer.padId();
    }

    /// Writes a whole model in F32, complete or not at all.
    ///
    /// @param card README.md
    /// @param extra what the directory's manifest shall say beside its files
    static void save(ScalarModel model, Tokenizer tokenizer, Path target, String card, Map<String, ?> extra) {
        try (AtomicDirectory folder = AtomicDirectory.create(target)) {
            model.save(folder.path(), DType.F32, padId(tokenizer));
            finish(folder, tokenizer, target, card, extra);
        }
    }

    /// Writes the adapters and the head as a PEFT directory, complete or not at all.
    ///
    /// @param base name or path of the base model
    static void saveAdapter(
            ScalarModel model, Tokenizer tokenizer, Path target, String base, String card, Map<String, ?> extra) {
        try (AtomicDirectory folder = AtomicDirectory.create(target)) {
            model.saveAdapter(folder.path(), base);
            finish(folder, tokenizer, target, card, extra);
        }
    }

    /// Merges the adapters, if there are any, and writes a whole model, but only if it gives the scores that the model
    /// gave before. How far they differ stands in card and manifest.
    ///
    /// @param model one that computes in F32
    /// @param texts further probe texts
    /// @throws BadInput if the scores differ by more than the tolerance; nothing is written
    static MergeProof saveMerged(
            ScalarModel model,
            Tokenizer tokenizer,
            Path target,
            DType dtype,
            List<String> texts,
            ModelCard card,
            Map<String, ?> extra) {
        List<int[]> probes = MergeProof.probes(tokenizer, texts, model.config());
        List<float[]> before = MergeProof.scores(model, probes);
        model.merge();
        try (AtomicDirectory folder = AtomicDirectory.create(target)) {
            model.save(folder.path(), dtype, padId(tokenizer));
            MergeProof proof;
            try (ScalarModel written = ScalarModel.load(folder.path(), DType.F32, 0, false)) {
                proof = MergeProof.ofScores(before, MergeProof.scores(written, probes), dtype)
                        .require(target);
            }
            Map<String, Object> all = new LinkedHashMap<>(extra);
            all.put("merge", proof.toMap());
            card.table("check", "value", proof.toMap());
            finish(folder, tokenizer, target, card.toString(), all);
            return proof;
        }
    }

    private static void finish(
            AtomicDirectory folder, Tokenizer tokenizer, Path target, String card, Map<String, ?> extra) {
        tokenizer.save(folder.path());
        AtomicFile.write(folder.path().resolve("README.md"), card);
        LoadedModel.commit(folder, target, extra);
    }

    /// Writes a reward model, with an adapter merged or in another dtype, as [#saveMerged] does.
    ///
    /// @param adapter PEFT directory, or null
    /// @param dtype of the stored weights
    public static MergeProof export(
            Path directory, @Nullable Path adapter, Path target, DType dtype, List<String> texts, ModelCard card) {
        try (Tokenizer tokenizer = Tokenizer.load(directory);
                ScalarModel model = open(directory, adapter, DType.F32, 0, false)) {
            LoadedModel.requireRows(directory, tokenizer, model.config().vocabSize());
            Map<String, String> about = Map.of(
                    "kind",
                    "reward_model",
                    "base_model",
                    directory.toAbsolutePath().normalize().getFileName().toString());
            return saveMerged(model, tokenizer, target, dtype, texts, card.pipeline("text-classification"), about);
        }
    }
}

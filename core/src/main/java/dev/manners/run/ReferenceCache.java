package dev.manners.run;

import dev.manners.BadInput;
import dev.manners.NonFinite;
import dev.manners.files.AtomicDirectory;
import dev.manners.files.Json;
import dev.manners.files.Manifest;
import dev.manners.files.Sha256;
import dev.manners.model.TensorFile;
import dev.manners.tensor.DType;
import dev.manners.tensor.LibTorch;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.train.Pair;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// The reference's log-probabilities of a dataset's completions (`precompute_ref_log_probs`), computed once and
/// kept under a hash of all that they depend on: whatever changes, they are computed anew.
///
/// An entry is a folder with a manifest, complete or absent, and verified when it is read.
final class ReferenceCache {

    private static final String FILE = "logps.safetensors";

    private ReferenceCache() {}

    /// All that the numbers depend on.
    ///
    /// @param reference SHA-256 of the reference's files, weights among them
    /// @param dataset SHA-256 of the file and the range of rows
    /// @param tokens fingerprint of tokenizer and chat template
    /// @param pairs [#hash] of the pairs themselves, as tokens
    record Key(
            Map<String, String> reference,
            String dataset,
            String tokens,
            String truncationMode,
            int maxLength,
            String pairs,
            @Nullable Double ldAlpha,
            DType dtype,
            int threads,
            String libtorch,
            String manners) {

        /// With this process's threads and versions.
        static Key here(
                Map<String, String> reference,
                String dataset,
                String tokens,
                String truncationMode,
                int maxLength,
                List<Pair> pairs,
                @Nullable Double ldAlpha,
                DType dtype) {
            return new Key(
                    reference,
                    dataset,
                    tokens,
                    truncationMode,
                    maxLength,
                    ReferenceCache.hash(pairs),
                    ldAlpha,
                    dtype,
                    LibTorch.threads(),
                    LibTorch.version(),
                    RunDirectory.version());
        }

        Map<String, String> fields() {
            Map<String, String> fields = new LinkedHashMap<>();
            new TreeMap<>(reference).forEach((file, hash) -> fields.put("reference/" + file, hash));
            fields.put("dataset", dataset);
            fields.put("tokens", tokens);
            fields.put("truncation_mode", truncationMode);
            fields.put("max_length", String.valueOf(maxLength));
            fields.put("pairs", pairs);
            fields.put("ld_alpha", String.valueOf(ldAlpha));
            fields.put("dtype", dtype.toString());
            fields.put("threads", String.valueOf(threads));
            fields.put("libtorch", libtorch);
            fields.put("manners", manners);
            return fields;
        }

        String hash() {
            return Sha256.ofText(Json.MAPPER.writeValueAsString(fields()));
        }
    }

    /// SHA-256 of pairs as tokens.
    static String hash(List<Pair> pairs) {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            for (Pair pair : pairs) {
                for (int[] ids : List.of(pair.prompt(), pair.chosen(), pair.rejected())) {
                    ByteBuffer bytes = ByteBuffer.allocate(4 + 4 * ids.length).putInt(ids.length);
                    bytes.asIntBuffer().put(ids);
                    digest.update(bytes.array());
                }
            }
            return HexFormat.of().formatHex(digest.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    /// Asks the reference; null if it was asked to stop.
    @FunctionalInterface
    interface Computation {
        float @Nullable [] run();
    }

    /// Takes them from the folder, or computes them and puts them there.
    ///
    /// @param count how many there are: 2 for each pair
    /// @param warn told of an entry that is damaged and computed anew
    /// @return null if it was asked to stop
    /// @throws NonFinite if one is not finite: nothing is kept then
    static float @Nullable [] get(Path folder, Key key, int count, Computation compute, Consumer<String> warn) {
        Path entry = folder.resolve(key.hash());
        if (Files.exists(entry)) {
            try {
                return read(entry, count);
            } catch (BadInput e) {
                warn.accept(entry + " is damaged and computed anew: " + e.getMessage());
            }
        }
        float[] logps = compute.run();
        if (logps == null) {
            return null;
        }
        for (int i = 0; i < logps.length; i++) {
            if (!Float.isFinite(logps[i])) {
                throw new NonFinite(
                        "reference",
                        "the log-probability of the " + (i % 2 == 0 ? "chosen" : "rejected") + " completion of pair "
                                + (i / 2 + 1) + " under the reference is " + logps[i]
                                + ": look at the reference's weights, or take f32");
            }
        }
        write(entry, key, logps);
        return logps;
    }

    private static float[] read(Path entry, int count) {
        Manifest.verify(entry);
        try (Scope scope = Scope.open();
                TensorFile file = TensorFile.open(entry.resolve(FILE))) {
            float[] logps = file.tensor("logps").toFloats();
            if (logps.length != count) {
                throw new BadInput(entry + " holds " + logps.length + " numbers, expected " + count);
            }
            return logps;
        }
    }

    private static void write(Path entry, Key key, float[] logps) {
        try (AtomicDirectory folder = AtomicDirectory.create(entry);
                Scope scope = Scope.open()) {
            TensorFile.write(folder.path().resolve(FILE), Map.of("logps", Tensor.of(logps)));
            if (Files.exists(entry)) {
                folder.commitReplacing(key.fields());
            } else {
                folder.commit(key.fields());
            }
        }
    }
}

package dev.manners.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.NonFinite;
import dev.manners.files.Manifest;
import dev.manners.tensor.DType;
import dev.manners.train.Pair;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The reference's log-probabilities, kept under all that they depend on.
class ReferenceCacheTest {

    private static final List<Pair> PAIRS = List.of(
            new Pair(new int[] {1, 2}, new int[] {3}, new int[] {4, 5}),
            new Pair(new int[] {6}, new int[] {7, 8}, new int[] {9}));

    private static final ReferenceCache.Key KEY = new ReferenceCache.Key(
            Map.of("model.safetensors", "w1", "config.json", "c1"),
            "d1 [0:2]",
            "t1",
            "KEEP_START",
            64,
            ReferenceCache.hash(PAIRS),
            null,
            DType.F32,
            1,
            "2.10",
            "1.0");

    private static final float[] LOGPS = {-1.5f, -2.25f, -3f, -1e-7f};

    @TempDir
    Path folder;

    private final List<String> warnings = new ArrayList<>();
    private int computed;

    private float[] get(ReferenceCache.Key key) {
        return Objects.requireNonNull(ReferenceCache.get(
                folder,
                key,
                4,
                () -> {
                    computed++;
                    return LOGPS.clone();
                },
                warnings::add));
    }

    @Test
    void whatWasComputedOnceIsReadBackToTheBit() {
        assertThat(get(KEY)).isEqualTo(LOGPS);
        assertThat(get(KEY)).isEqualTo(LOGPS);
        assertThat(computed).isEqualTo(1);
        assertThat(Manifest.verify(folder.resolve(KEY.hash()))
                        .extra()
                        .path("reference/model.safetensors")
                        .asString())
                .isEqualTo("w1");
    }

    @Test
    void everythingItDependsOnChangesTheKey() {
        Map<String, String> other = Map.of("model.safetensors", "w2", "config.json", "c1");
        List<Pair> cut = List.of(PAIRS.getFirst(), new Pair(new int[] {6}, new int[] {7}, new int[] {9}));
        List<ReferenceCache.Key> changed = List.of(
                KEY,
                with(other, "d1 [0:2]", "t1", "KEEP_START", 64, PAIRS, null, DType.F32, 1, "2.10", "1.0"),
                with(KEY.reference(), "d2 [0:2]", "t1", "KEEP_START", 64, PAIRS, null, DType.F32, 1, "2.10", "1.0"),
                with(KEY.reference(), "d1 [1:3]", "t1", "KEEP_START", 64, PAIRS, null, DType.F32, 1, "2.10", "1.0"),
                with(KEY.reference(), "d1 [0:2]", "t2", "KEEP_START", 64, PAIRS, null, DType.F32, 1, "2.10", "1.0"),
                with(KEY.reference(), "d1 [0:2]", "t1", "KEEP_END", 64, PAIRS, null, DType.F32, 1, "2.10", "1.0"),
                with(KEY.reference(), "d1 [0:2]", "t1", "KEEP_START", 63, PAIRS, null, DType.F32, 1, "2.10", "1.0"),
                with(KEY.reference(), "d1 [0:2]", "t1", "KEEP_START", 64, cut, null, DType.F32, 1, "2.10", "1.0"),
                with(KEY.reference(), "d1 [0:2]", "t1", "KEEP_START", 64, PAIRS, 1.0, DType.F32, 1, "2.10", "1.0"),
                with(KEY.reference(), "d1 [0:2]", "t1", "KEEP_START", 64, PAIRS, null, DType.BF16, 1, "2.10", "1.0"),
                with(KEY.reference(), "d1 [0:2]", "t1", "KEEP_START", 64, PAIRS, null, DType.F32, 2, "2.10", "1.0"),
                with(KEY.reference(), "d1 [0:2]", "t1", "KEEP_START", 64, PAIRS, null, DType.F32, 1, "2.11", "1.0"),
                with(KEY.reference(), "d1 [0:2]", "t1", "KEEP_START", 64, PAIRS, null, DType.F32, 1, "2.10", "1.1"));
        assertThat(changed.stream().map(ReferenceCache.Key::hash)).doesNotHaveDuplicates();
        changed.forEach(this::get);
        assertThat(computed).isEqualTo(changed.size());
        // And nothing else does: the same again, made anew, is the same key.
        assertThat(with(
                                Map.of("config.json", "c1", "model.safetensors", "w1"),
                                "d1 [0:2]",
                                "t1",
                                "KEEP_START",
                                64,
                                List.copyOf(PAIRS),
                                null,
                                DType.F32,
                                1,
                                "2.10",
                                "1.0")
                        .hash())
                .isEqualTo(KEY.hash());
    }

    private static ReferenceCache.Key with(
            Map<String, String> reference,
            String dataset,
            String tokens,
            String truncation,
            int maxLength,
            List<Pair> pairs,
            @Nullable Double ldAlpha,
            DType dtype,
            int threads,
            String libtorch,
            String manners) {
        return new ReferenceCache.Key(
                reference,
                dataset,
                tokens,
                truncation,
                maxLength,
                ReferenceCache.hash(pairs),
                ldAlpha,
                dtype,
                threads,
                libtorch,
                manners);
    }

    /// Tokens that change sides, or rows, are other pairs.
    @Test
    void theHashOfPairsKnowsWhereATokenStands() {
        assertThat(Stream.of(
                                List.of(new Pair(new int[] {1}, new int[] {2}, new int[] {3, 4})),
                                List.of(new Pair(new int[] {1}, new int[] {2, 3}, new int[] {4})),
                                List.of(new Pair(new int[] {1, 2}, new int[] {3}, new int[] {4})),
                                PAIRS,
                                PAIRS.reversed())
                        .map(ReferenceCache::hash))
                .doesNotHaveDuplicates();
    }

    @Test
    void aDamagedEntryIsComputedAnewAndTold() throws IOException {
        get(KEY);
        Path file = folder.resolve(KEY.hash()).resolve("logps.safetensors");
        byte[] bytes = Files.readAllBytes(file);
        bytes[bytes.length - 3] ^= 1;
        Files.write(file, bytes);
        assertThat(get(KEY)).isEqualTo(LOGPS);
        assertThat(computed).isEqualTo(2);
        assertThat(warnings).singleElement().asString().contains("is damaged and computed anew");
        get(KEY);
        assertThat(computed).isEqualTo(2);
    }

    @Test
    void neitherNanNorHalfOfItIsKept() {
        assertThatThrownBy(() ->
                        ReferenceCache.get(folder, KEY, 4, () -> new float[] {-1, -2, Float.NaN, -3}, warnings::add))
                .isInstanceOf(NonFinite.class)
                .hasMessageContaining("the chosen completion of pair 2");
        assertThat(ReferenceCache.get(folder, KEY, 4, () -> null, warnings::add))
                .isNull();
        assertThat(folder).isEmptyDirectory();
    }
}

package dev.manners.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.manners.BadInput;
import dev.manners.files.Json;
import dev.manners.tensor.DType;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.testing.Shared;
import dev.manners.testing.Tiny;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

/// A decoder with a head of one number.
class ScalarModelTest {

    private static final int[] IDS = {7, 3, 11, 5, 2};

    @TempDir
    Path folder;

    private static float[] values(ScalarModel model, int... ids) {
        try (Scope scope = Scope.open();
                NoGrad off = NoGrad.on()) {
            return model.values(Tensor.of(ids), new Sequences(ids.length), Dropout.NONE)
                    .toFloats();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "qwen2", "qwen3", "gpt2", "gpt_neox"})
    void aLanguageModelGetsAFreshHeadAndIsReadBackAsAClassifier(String family) {
        Path directory = Shared.path("goldens/families/" + family);
        try (ScalarModel model = ScalarModel.load(directory, DType.F32, 3, false)) {
            model.save(folder, DType.F32, OptionalInt.of(0));
            float[] before = values(model, IDS);
            assertThat(before).doesNotContain(0).hasSize(IDS.length);
            try (ScalarModel again = ScalarModel.load(folder, DType.F32, 99, false)) {
                assertThat(values(again, IDS)).isEqualTo(before);
            }
            try (ScalarModel other = ScalarModel.load(directory, DType.F32, 4, false)) {
                assertThat(values(other, IDS)).isNotEqualTo(before);
            }
        }
        ObjectNode config = Json.readObject(folder.resolve("config.json"));
        assertThat(config.path("architectures").path(0).asString()).endsWith("ForSequenceClassification");
        assertThat(config.path("pad_token_id").asInt()).isZero();
        assertThat(config.path("id2label").size()).isEqualTo(1);
    }

    @Test
    void theValueOfATokenDoesNotDependOnWhatFollowsAndAnyRowsCanBeAskedFor() {
        try (Decoder decoder = Tiny.llama(64, 32, 1);
                ScalarModel model = ScalarModel.of(decoder, 1)) {
            float[] all = values(model, IDS);
            float[] some = values(model, Arrays.copyOf(IDS, 3));
            assertThat(some[2]).isCloseTo(all[2], within(1e-5f));
            try (Scope scope = Scope.open();
                    NoGrad off = NoGrad.on()) {
                Tensor rows = Tensor.of(new long[] {4, 2});
                assertThat(model.values(Tensor.of(IDS), new Sequences(IDS.length), rows, Dropout.NONE)
                                .toFloats())
                        .containsExactly(all[4], all[2]);
            }
        }
    }

    @Test
    void gradientsAgreeWithFiniteDifferences() {
        try (Decoder decoder = Tiny.llama(64, 32, 1);
                ScalarModel model = ScalarModel.of(decoder, 1)) {
            try (Scope scope = Scope.open()) {
                model.values(Tensor.of(IDS), new Sequences(IDS.length), Dropout.NONE)
                        .square()
                        .sum()
                        .backward();
                model.collectGradients();
            }
            for (String name : List.of("score.weight", "model.layers.0.mlp.down_proj.weight", "model.norm.weight")) {
                Parameter p =
                        Objects.requireNonNull(model.trainableByName("value.").get("value." + name));
                float[] grad = Objects.requireNonNull(p.grad()).toFloats();
                int at = 0;
                for (int i = 0; i < grad.length; i++) {
                    at = Math.abs(grad[i]) > Math.abs(grad[at]) ? i : at;
                }
                double difference = (loss(model, p, at, 1e-2) - loss(model, p, at, -1e-2)) / 2e-2;
                assertThat((double) grad[at]).as(name).isCloseTo(difference, within(2e-2 * Math.abs(difference)));
            }
        }
    }

    private static double loss(ScalarModel model, Parameter p, int at, double step) {
        try (Scope scope = Scope.open();
                NoGrad off = NoGrad.on()) {
            Tensor one = p.value().detach().view(-1).narrow(0, at, 1);
            Tensor before = one.clone();
            one.copy_(before.add(step));
            model.refresh();
            double sum = 0;
            for (float v : values(model, IDS)) {
                sum += (double) v * v;
            }
            one.copy_(before);
            model.refresh();
            return sum;
        }
    }

    @Test
    void aCopyGoesItsOwnWayAndAnAverageLiesBetween() {
        try (Decoder decoder = Tiny.llama(64, 32, 1);
                ScalarModel a = ScalarModel.of(decoder, 1);
                ScalarModel b = a.copy()) {
            float[] before = values(a, IDS);
            assertThat(values(b, IDS)).isEqualTo(before);
            try (Scope scope = Scope.open();
                    NoGrad off = NoGrad.on()) {
                Objects.requireNonNull(b.trainableByName().get("score.weight"))
                        .value()
                        .detach()
                        .mul_(3);
            }
            b.refresh();
            assertThat(values(a, IDS)).isEqualTo(before);
            try (ScalarModel mean = ScalarModel.average(List.of(a, b))) {
                float[] between = values(mean, IDS);
                for (int i = 0; i < before.length; i++) {
                    assertThat(between[i]).isCloseTo(2 * before[i], within(1e-4f));
                }
            }
            try (Decoder other = Tiny.llama(65, 32, 1);
                    ScalarModel c = ScalarModel.of(other, 1)) {
                assertThatThrownBy(() -> ScalarModel.average(List.of(a, c)))
                        .isInstanceOf(BadInput.class)
                        .hasMessageContaining("one shape");
            }
        }
    }

    @Test
    void withAdaptersTheyAndTheHeadAreTrainedAndStored() {
        try (Decoder decoder = Tiny.llama(64, 32, 1);
                ScalarModel model = ScalarModel.of(decoder, 1);
                ScalarModel base = model.copy()) {
            model.attach(new Lora(2, 4, 0, false, List.of("all-linear")), 5);
            assertThat(model.trainableByName().keySet())
                    .allMatch(name -> name.contains("lora_") || name.equals("score.weight"))
                    .contains("score.weight")
                    .hasSize(2 * 7 * 2 + 1);
            try (Scope scope = Scope.open();
                    NoGrad off = NoGrad.on()) {
                model.trainableByName()
                        .values()
                        .forEach(
                                p -> p.value().detach().copy_(p.value().detach().add(0.01)));
            }
            model.refresh();
            model.saveAdapter(folder, "base");
            base.attach(folder);
            assertThat(values(base, IDS)).isEqualTo(values(model, IDS));
            model.merge();
            float[] merged = values(model, IDS);
            float[] adapted = values(base, IDS);
            for (int i = 0; i < merged.length; i++) {
                assertThat(merged[i]).isCloseTo(adapted[i], within(1e-4f));
            }
            assertThatThrownBy(base::copy).isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    void anExactCopyComputesInF32AndHasTheSameAdapters() {
        try (Decoder decoder = Tiny.llama(64, 32, 1, DType.BF16);
                ScalarModel model = ScalarModel.of(decoder, 1)) {
            model.attach(new Lora(2, 4, 0, false, List.of("all-linear")), 5);
            try (Scope scope = Scope.open();
                    NoGrad off = NoGrad.on()) {
                model.trainableByName()
                        .values()
                        .forEach(
                                p -> p.value().detach().copy_(p.value().detach().add(0.01)));
            }
            model.refresh();
            model.saveAdapter(folder, "base");
            float[] coarse = values(model, IDS);
            try (ScalarModel exact = model.exact();
                    Decoder again = Tiny.llama(64, 32, 1);
                    ScalarModel wanted = ScalarModel.of(again, 1)) {
                wanted.attach(folder);
                assertThat(exact.dtype()).isEqualTo(DType.F32);
                assertThat(values(exact, IDS)).isEqualTo(values(wanted, IDS)).isNotEqualTo(coarse);
                exact.merge();
                assertThat(model.lora()).isNotNull();
                assertThat(values(model, IDS)).isEqualTo(coarse);
            }
        }
    }

    @Test
    void aClassifierOfSeveralLabelsIsRefused() {
        try (Decoder decoder = Tiny.llama(64, 32, 1);
                ScalarModel model = ScalarModel.of(decoder, 1)) {
            model.save(folder, DType.F32, OptionalInt.empty());
        }
        ObjectNode config = Json.readObject(folder.resolve("config.json"));
        config.putObject("id2label").put("0", "bad").put("1", "good");
        dev.manners.files.AtomicFile.write(folder.resolve("config.json"), Json.pretty(config));
        assertThatThrownBy(() -> ScalarModel.load(folder, DType.F32, 1, false))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("2 labels");
    }
}

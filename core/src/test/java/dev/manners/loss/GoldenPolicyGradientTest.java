package dev.manners.loss;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.files.Json;
import dev.manners.model.Decoder;
import dev.manners.model.Dropout;
import dev.manners.model.ModelDirectory;
import dev.manners.model.Parameter;
import dev.manners.model.Safetensors;
import dev.manners.model.SafetensorsFile;
import dev.manners.model.Sequences;
import dev.manners.tensor.DType;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.testing.Shared;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/// Every GRPO loss type, importance sampling level and β, and RLOO, on one batch: loss and gradient norm of TRL.
/// Its batch is padded, ours is not.
class GoldenPolicyGradientTest {

    private int rows;
    private int width;
    private long[] mask = {};
    private int[] lengths = {};

    @Test
    void agreesWithTrl() {
        Path directory = Shared.path("goldens/policy_gradient");
        JsonNode cases = Json.MAPPER.readTree(directory.resolve("expected.json").toFile());
        List<String> wrong = new ArrayList<>();
        try (Decoder model = ModelDirectory.load(directory.resolve("model"), DType.F32, false);
                Safetensors batch = Safetensors.open(directory.resolve("batch.safetensors"))) {
            for (JsonNode one : cases) {
                try (Scope scope = Scope.open()) {
                    read(batch);
                    Forward forward = forward(model, batch);
                    Tensor logps = forward.logProbs.logps().setRequiresGrad(true);
                    close(wrong, "policy_logps", logps, flat(batch, "policy_logps"));
                    Tensor advantages = tensor(batch, "advantages");
                    Tensor old = Tensor.of(flat(batch, "old_per_token_logps"));
                    Tensor ref = Tensor.of(flat(batch, "ref_per_token_logps"));
                    Window window =
                            new Window(rows, tensor(batch, "num_items_in_batch").item());
                    Loss loss = one.get("algorithm").stringValue().equals("rloo")
                            ? RlooLoss.of(logps, Segments.of(lengths), old, advantages, 0.2, 0.2, window)
                            : PolicyLoss.of(
                                    logps,
                                    new PolicyLoss.Batch(Segments.of(lengths), old, ref, advantages, null),
                                    window,
                                    options(one));
                    loss.value().backward();
                    forward.backward(Objects.requireNonNull(logps.grad()));
                    model.collectGradients();
                    String name = one.path("loss_type").asString("rloo") + " "
                            + one.path("importance_sampling_level").asString("") + " "
                            + one.path("beta").asString("");
                    close(
                            wrong,
                            name + " loss",
                            loss.value().item(),
                            one.get("loss").doubleValue(),
                            1e-4);
                    close(
                            wrong,
                            name + " grad_norm",
                            gradNorm(model),
                            one.get("grad_norm").doubleValue(),
                            1e-3);
                }
                model.parameters().forEach(Parameter::clearGrad);
            }
        }
        assertThat(wrong).isEmpty();
        assertThat(cases.size()).isEqualTo(33);
    }

    private static PolicyLoss.Options options(JsonNode one) {
        PolicyLoss.Type type =
                PolicyLoss.Type.valueOf(one.get("loss_type").stringValue().toUpperCase(Locale.ROOT));
        double high = one.get("epsilon_high").doubleValue();
        return new PolicyLoss.Options(
                type,
                PolicyLoss.Level.valueOf(
                        one.get("importance_sampling_level").stringValue().toUpperCase(Locale.ROOT)),
                one.get("epsilon").doubleValue(),
                high,
                null,
                type == PolicyLoss.Type.CISPO ? high : Double.NaN,
                1,
                1.05,
                2,
                3,
                3,
                2,
                one.get("beta").doubleValue(),
                KlEstimator.K3,
                one.get("use_bias_correction_kl").booleanValue(),
                0,
                one.get("max_completion_length").intValue());
    }

    private void read(Safetensors batch) {
        Tensor completionMask = tensor(batch, "completion_mask");
        rows = (int) completionMask.size(0);
        width = (int) completionMask.size(1);
        mask = completionMask.toLongs();
        lengths = new int[rows];
        for (int i = 0; i < mask.length; i++) {
            lengths[i / width] += (int) mask[i];
        }
    }

    /// @param rows positions whose next token is a completion's
    private record Forward(Tensor hidden, Tensor rows, LogProbs logProbs) {

        void backward(Tensor logpGrad) {
            Tensor grad = Tensor.zeros(DType.F32, hidden.shape());
            hidden.backward(grad.indexCopy_(0, rows, logProbs.backward(logpGrad, null)));
        }
    }

    private Forward forward(Decoder model, Safetensors batch) {
        long[] prompts = tensor(batch, "prompt_ids").toLongs();
        long[] promptMask = tensor(batch, "prompt_mask").toLongs();
        long[] completions = tensor(batch, "completion_ids").toLongs();
        int promptWidth = prompts.length / rows;
        List<Long> ids = new ArrayList<>();
        List<Long> places = new ArrayList<>();
        List<Long> targets = new ArrayList<>();
        int[] tokens = new int[rows];
        for (int row = 0; row < rows; row++) {
            int begin = ids.size();
            for (int i = row * promptWidth; i < (row + 1) * promptWidth; i++) {
                if (promptMask[i] == 1) {
                    ids.add(prompts[i]);
                }
            }
            for (int i = row * width; i < (row + 1) * width; i++) {
                if (mask[i] == 1) {
                    places.add(ids.size() - 1L);
                    targets.add(completions[i]);
                    ids.add(completions[i]);
                }
            }
            tokens[row] = ids.size() - begin;
        }
        Tensor hidden = model.hidden(all(ids), new Sequences(tokens), Dropout.NONE);
        Tensor at = all(places);
        return new Forward(
                hidden, at, LogProbs.of(hidden.detach().indexSelect(0, at), model.headWeight(), all(targets), 1));
    }

    private static Tensor all(List<Long> values) {
        return Tensor.of(values.stream().mapToLong(i -> i).toArray());
    }

    private static Tensor tensor(Safetensors batch, String name) {
        SafetensorsFile.Entry entry = batch.entry(name);
        return Tensor.copyOf(batch.data(name), entry.dtype(), entry.shape());
    }

    /// A padded [rows, width] without its padding.
    private float[] flat(Safetensors batch, String name) {
        float[] padded = tensor(batch, name).toFloats();
        float[] kept = new float[padded.length];
        int n = 0;
        for (int i = 0; i < padded.length; i++) {
            if (mask[i] == 1) {
                kept[n++] = padded[i];
            }
        }
        return Arrays.copyOf(kept, n);
    }

    private static double gradNorm(Decoder model) {
        double squares = 0;
        for (Parameter parameter : model.parameters()) {
            Tensor grad = parameter.grad();
            if (grad != null) {
                squares += Math.pow(grad.normAll().item(), 2);
            }
        }
        return Math.sqrt(squares);
    }

    private static void close(List<String> wrong, String what, Tensor found, float... wanted) {
        float[] values = found.toFloats();
        for (int i = 0; i < wanted.length; i++) {
            close(wrong, what + "[" + i + "]", values[i], wanted[i], 1e-4);
        }
    }

    private static void close(List<String> wrong, String what, double found, double wanted, double relative) {
        if (!(Math.abs(found - wanted) <= relative * Math.abs(wanted))) {
            wrong.add(what + " is " + found + ", expected " + wanted);
        }
    }
}

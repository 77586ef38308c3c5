package dev.manners.rollout;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.files.Json;
import dev.manners.loss.CrossEntropy;
import dev.manners.model.Dropout;
import dev.manners.model.Sequences;
import dev.manners.run.LoadedModel;
import dev.manners.tensor.DType;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.testing.Shared;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/// A really pretrained model says, word for word, what it says elsewhere.
class Stories260KTest {

    private static int[] ints(JsonNode array) {
        return array.valueStream().mapToInt(JsonNode::intValue).toArray();
    }

    @Test
    void greedyTextsAndLogProbabilities() throws IOException {
        Path directory = Shared.path("data/models/stories260K");
        JsonNode golden =
                Json.MAPPER.readTree(Files.readAllBytes(directory.resolve("golden_greedy_and_logprobs.json")));
        try (LoadedModel model = LoadedModel.open(directory, null, DType.F32, false)) {
            List<int[]> prompts = new ArrayList<>();
            int longest = 0;
            for (JsonNode one : golden) {
                int[] prompt = ints(one.get("prompt_ids"));
                assertThat(model.tokenizer()
                                .encodeContentWithSpecial(one.get("prompt").stringValue()))
                        .isEqualTo(prompt);
                prompts.add(prompt);
                longest = Math.max(longest, one.get("greedy_ids").size() - prompt.length);
            }
            // Fewer places than prompts; nothing stops it, as nothing stopped the reference.
            List<Completion> found = new Engine(model.decoder(), model.tokenizer(), Set.of(), 3)
                    .generate(prompts, Sampling.greedy(longest));
            for (int i = 0; i < golden.size(); i++) {
                JsonNode one = golden.get(i);
                int[] greedy = ints(one.get("greedy_ids"));
                int[] prompt = prompts.get(i);
                int[] wanted = Arrays.copyOfRange(greedy, prompt.length, greedy.length);
                Completion c = found.get(i);
                assertThat(Arrays.copyOf(c.ids(), wanted.length)).isEqualTo(wanted);
                assertThat(model.tokenizer().decode(greedy, true))
                        .isEqualTo(one.get("text").stringValue());
                JsonNode logps = one.get("token_logprobs");
                int skipped = logps.size() - wanted.length; // those of the prompt's own tokens
                for (int t = 0; t < wanted.length; t++) {
                    assertThat((double) c.logps()[t])
                            .as("prompt %d, token %d", i, t)
                            .isCloseTo(logps.get(skipped + t).doubleValue(), within(1e-4));
                }
            }
            assertThat(golden.size()).isEqualTo(5);
        }
    }

    @Test
    void teacherForcedLoss() {
        Path directory = Shared.path("data/models/stories260K");
        JsonNode golden = Json.readObject(directory.resolve("golden_teacher_forced_nll.json"));
        try (LoadedModel model = LoadedModel.open(directory, null, DType.F32, false)) {
            golden.properties().forEach(e -> {
                int[] ids = ints(e.getValue().get("ids"));
                int[] text = model.tokenizer()
                        .encodeContentWithSpecial(e.getValue().get("text").stringValue());
                assertThat(Arrays.mismatch(text, ids))
                        .as("the ids are the text's")
                        .satisfiesAnyOf(
                                at -> assertThat(at).isNegative(),
                                at -> assertThat(at).isGreaterThanOrEqualTo(Math.min(text.length, ids.length) - 2));
                try (Scope scope = Scope.open();
                        NoGrad off = NoGrad.on()) {
                    Tensor all = Tensor.of(ids);
                    int n = ids.length - 1;
                    Tensor hidden = model.decoder().hidden(all, new Sequences(ids.length), Dropout.NONE);
                    CrossEntropy.Result result = CrossEntropy.of(
                            hidden.narrow(0, 0, n), model.decoder().headWeight(), all.narrow(0, 1, n), 0);
                    assertThat(result.loss() / n)
                            .as(e.getKey())
                            .isCloseTo(e.getValue().get("mean_nll").doubleValue(), within(1e-4));
                }
            });
            assertThat(golden.size()).isEqualTo(2);
        }
    }
}

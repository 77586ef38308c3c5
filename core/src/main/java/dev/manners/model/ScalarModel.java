package dev.manners.model;

import dev.manners.BadInput;
import dev.manners.tensor.DType;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/// A decoder with a linear head that gives one number for each token, v_i = w · h_i: a reward model, whose number at
/// the last token of a sequence is its score, or a value model, whose number at a token is what it expects from there.
///
/// Stored as transformers' `...ForSequenceClassification` with one label: the decoder's tensors without an output
/// layer, and `score.weight`, [1, H]. The head computes in F32.
public final class ScalarModel implements AutoCloseable {

    private static final String HEAD = "score.weight";

    /// Number of the head among the tensors that are drawn at random, far from the decoder's.
    private static final int HEAD_NUMBER = Integer.MAX_VALUE;

    private final Decoder trunk;
    private final Parameter score;
    private final Weight head;

    private ScalarModel(Decoder trunk, Parameter score) {
        this.trunk = trunk;
        this.score = score;
        this.head = Weight.of(score, DType.F32);
    }

    // ---- where it comes from

    /// Loads a directory of a sequence classifier with one label, or of a language model, whose output layer is left
    /// out and which gets a fresh head.
    ///
    /// @param dtype of the trunk's computation; master weights are F32
    /// @param seed of a fresh head
    /// @param allowNonfinite load weights with NaN or infinities all the same
    public static ScalarModel load(Path directory, DType dtype, long seed, boolean allowNonfinite) {
        List<String> problems = ModelDirectory.problems(directory, null);
        if (!problems.isEmpty()) {
            throw BadInput.all("model", problems);
        }
        Blueprint blueprint = Blueprint.read(directory.resolve("config.json")).trunk();
        boolean classifier = isClassifier(blueprint.json());
        int labels = blueprint.json().path("id2label").size();
        if (classifier && labels > 1) {
            throw new BadInput(directory + ": a classifier with " + labels
                    + " labels; a reward model has one, whose logit is the score");
        }
        try (Safetensors stored = Safetensors.open(directory)) {
            List<Blueprint.Spec> specs = new ArrayList<>(blueprint.specs());
            if (classifier || stored.names().contains(HEAD)) {
                specs.add(new Blueprint.Spec(HEAD, headShape(blueprint), Blueprint.Start.NORMAL));
            }
            Map<String, Parameter> parameters = ModelDirectory.read(
                    directory, stored, blueprint, specs, Set.of(blueprint.headName()), allowNonfinite);
            Parameter score = parameters.remove(HEAD);
            return new ScalarModel(
                    new Decoder(blueprint, parameters, dtype), score == null ? fresh(blueprint, seed) : score);
        }
    }

    /// Whether a directory holds a model with a head of its own, and not a language model without one.
    public static boolean hasHead(Path directory) {
        if (isClassifier(Blueprint.read(directory.resolve("config.json")).json())) {
            return true;
        }
        try (Safetensors stored = Safetensors.open(directory)) {
            return stored.names().contains(HEAD);
        }
    }

    /// Whether a config.json is that of a sequence classifier.
    private static boolean isClassifier(ObjectNode json) {
        return json.path("architectures").path(0).asString("").endsWith("ForSequenceClassification");
    }

    /// Copies a decoder's weights and gives them a fresh head.
    ///
    /// @param seed of the head
    /// @throws IllegalArgumentException if adapters are attached; merge them first
    public static ScalarModel of(Decoder decoder, long seed) {
        Blueprint trunk = decoder.blueprint().trunk();
        return new ScalarModel(copy(decoder, trunk), fresh(trunk, seed));
    }

    /// A copy with weights of its own, such as a value model that begins as the reward model.
    ///
    /// @throws IllegalArgumentException if adapters are attached; merge them first
    public ScalarModel copy() {
        return new ScalarModel(copy(trunk, trunk.blueprint()), copy(score));
    }

    /// A copy that computes in F32 and has the same adapters: what it says is exact, however coarsely this one
    /// computes.
    public ScalarModel exact() {
        Decoder copied = copy(trunk, trunk.blueprint(), DType.F32);
        Lora lora = trunk.lora();
        if (lora != null) {
            AdapterFiles.attach(
                    copied,
                    lora,
                    (name, shape) -> trunk.parameter(name).value().detach().clone());
        }
        return new ScalarModel(copied, copy(score));
    }

    /// The mean of several models' weights, one model as cheap as any of them: WARM (Ramé et al. 2024,
    /// arXiv:2401.12187). Sensible only for models that were trained from the same one.
    ///
    /// @throws BadInput if they are not of one shape
    public static ScalarModel average(List<ScalarModel> models) {
        ScalarModel mean = models.getFirst().copy();
        for (ScalarModel other : models) {
            if (other.trunk.lora() != null || !other.shapes().equals(mean.shapes())) {
                mean.close();
                throw new BadInput("weights can be averaged only over models of one shape, without adapters");
            }
        }
        try (NoGrad off = NoGrad.on();
                Scope scope = Scope.open()) {
            List<Parameter> sums = List.copyOf(mean.parameters());
            for (ScalarModel other : models.subList(1, models.size())) {
                List<Parameter> more = List.copyOf(other.parameters());
                for (int i = 0; i < sums.size(); i++) {
                    sums.get(i).value().detach().add_(more.get(i).value().detach());
                }
            }
            sums.forEach(p -> p.value().detach().mul_(1.0 / models.size()));
        }
        mean.refresh();
        return mean;
    }

    private static Decoder copy(Decoder decoder, Blueprint blueprint) {
        if (decoder.lora() != null) {
            throw new IllegalArgumentException("adapters are attached; merge them before the model is copied");
        }
        return copy(decoder, blueprint, decoder.dtype());
    }

    private static Decoder copy(Decoder decoder, Blueprint blueprint, DType dtype) {
        Map<String, Parameter> copies = new LinkedHashMap<>();
        for (Blueprint.Spec spec : blueprint.specs()) {
            copies.put(spec.name(), copy(decoder.parameter(spec.name())));
        }
        return new Decoder(blueprint, copies, dtype);
    }

    private static Parameter copy(Parameter parameter) {
        try (Scope scope = Scope.open()) {
            return new Parameter(
                    parameter.name(),
                    scope.keepForever(parameter.value().detach().clone()));
        }
    }

    /// Normal, with deviation 1/√(H + 1): scores start of order one (Stiennon et al. 2020, arXiv:2009.01325; Huang et
    /// al. 2024, arXiv:2403.17031).
    private static Parameter fresh(Blueprint blueprint, long seed) {
        double deviation = 1 / Math.sqrt(blueprint.config().hiddenSize() + 1.0);
        try (Scope scope = Scope.open()) {
            return new Parameter(
                    HEAD, scope.keepForever(Decoder.normal(headShape(blueprint), deviation, seed, HEAD_NUMBER)));
        }
    }

    private static long[] headShape(Blueprint blueprint) {
        return new long[] {1, blueprint.config().hiddenSize()};
    }

    // ---- what it is

    public DecoderConfig config() {
        return trunk.config();
    }

    /// The dtype of the trunk's computation.
    public DType dtype() {
        return trunk.dtype();
    }

    /// The trunk's parameters in the order of the forward pass, and the head's; adapters apart.
    public Collection<Parameter> parameters() {
        return byName().values();
    }

    private Map<String, Parameter> byName() {
        Map<String, Parameter> named = new LinkedHashMap<>();
        trunk.parameters().forEach(p -> named.put(p.name(), p));
        named.put(HEAD, score);
        return named;
    }

    private Map<String, List<Long>> shapes() {
        Map<String, List<Long>> shapes = new LinkedHashMap<>();
        byName().forEach((name, p) ->
                shapes.put(name, Arrays.stream(p.value().shape()).boxed().toList()));
        return shapes;
    }

    /// What a trainer changes, by unique names: the head and all of the trunk, or with adapters the head and them.
    public Map<String, Parameter> trainableByName() {
        return trainableByName("");
    }

    /// The same with something in front of the names: where another model is optimised beside it.
    public Map<String, Parameter> trainableByName(String prefix) {
        Map<String, Parameter> named = new LinkedHashMap<>();
        trunk.trainable().forEach(p -> named.put(prefix + p.name(), p));
        named.put(prefix + HEAD, score);
        return named;
    }

    // ---- forward and back

    /// The number of every token.
    ///
    /// @param ids tokens end to end, [N], I64
    /// @return [N], F32
    public Tensor values(Tensor ids, Attend attend, Dropout dropout) {
        return numbers(trunk.hidden(ids, attend, dropout));
    }

    /// The number of some tokens, such as the last of each sequence.
    ///
    /// @param ids tokens end to end, [N], I64
    /// @param rows which of them, [M], I64
    /// @return [M], F32
    public Tensor values(Tensor ids, Attend attend, Tensor rows, Dropout dropout) {
        return numbers(trunk.hidden(ids, attend, dropout).indexSelect(0, rows));
    }

    private Tensor numbers(Tensor hidden) {
        return hidden.to(DType.F32).linear(head.get(), null).squeeze(1);
    }

    /// Takes over the parameters' present values.
    public void refresh() {
        trunk.refresh();
        head.refresh();
    }

    /// Moves the gradients of the last backward pass to the parameters, where they add up in F32.
    public void collectGradients() {
        trunk.collectGradients();
        head.collect();
    }

    // ---- adapters

    /// Options of the attached adapters, or null.
    public @Nullable Lora lora() {
        return trunk.lora();
    }

    /// Attaches fresh adapters to the trunk and freezes the rest of it; the head goes on being trained.
    public void attach(Lora lora, long seed) {
        trunk.attach(lora, seed);
    }

    /// Attaches what [#saveAdapter] or PEFT wrote: adapters, and the head that was trained with them.
    public void attach(Path adapter) {
        AdapterFiles.load(trunk, score, adapter);
        refresh();
    }

    /// Adds the adapters into the weights and drops them.
    public void merge() {
        trunk.merge();
    }

    // ---- where it goes

    /// Writes config.json and model.safetensors, so that transformers' `AutoModelForSequenceClassification` loads the
    /// directory. The folder exists and is the caller's; give it an unfinished one
    /// ([dev.manners.files.AtomicDirectory]).
    ///
    /// @param padId a token that no sequence ends with. transformers takes the score at the last token that is not
    /// this one; without it transformers scores one sequence at a time, at its last token
    public void save(Path directory, DType dtype, OptionalInt padId) {
        ObjectNode json = trunk.configJson();
        json.putArray("architectures").add(trunk.blueprint().family().className() + "ForSequenceClassification");
        json.putObject("id2label").put("0", "LABEL_0");
        json.putObject("label2id").put("LABEL_0", 0);
        json.remove(List.of("num_labels", "problem_type"));
        if (padId.isPresent()) {
            json.put("pad_token_id", padId.getAsInt());
        } else {
            json.putNull("pad_token_id");
        }
        ModelDirectory.save(json, parameters(), directory, dtype);
    }

    /// Writes the adapters and the head as a PEFT directory (`modules_to_save: [score]`).
    ///
    /// @param baseModel name or path of the base model
    public void saveAdapter(Path directory, String baseModel) {
        AdapterFiles.save(trunk, score, directory, baseModel);
    }

    @Override
    public void close() {
        trunk.close();
        head.close();
        score.close();
    }
}

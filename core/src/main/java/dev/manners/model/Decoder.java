package dev.manners.model;

import dev.manners.BadInput;
import dev.manners.tensor.DType;
import dev.manners.tensor.MatrixProduct;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Philox;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/// A decoder-only language model: embeddings, blocks, final norm, output layer.
///
/// It computes in one dtype (F32, or BF16 with F32 master weights) on tokens laid end to end; who sees whom is the
/// batch's matter ([Attend]). After an optimizer changed the parameters, [#refresh] takes the new values over; after
/// a backward pass, [#collectGradients] brings the gradients to the parameters.
public final class Decoder implements AutoCloseable {

    private final Blueprint blueprint;
    private final DType dtype;
    private final Map<String, Parameter> parameters;
    private final Weight embedding;
    private final @Nullable Weight positions;
    private final List<Block> blocks;
    private final Norm finalNorm;
    private final Weight head;
    private final List<Weight> weights = new ArrayList<>();
    private final Map<String, Parameter> adapterParameters = new LinkedHashMap<>();
    private final Adapter.Switch adaptersOn = new Adapter.Switch();
    private @Nullable Lora lora;
    private final List<Tensor> rotations = new ArrayList<>();

    Decoder(Blueprint blueprint, Map<String, Parameter> parameters, DType dtype) {
        this.blueprint = blueprint;
        this.dtype = dtype;
        this.parameters = Collections.unmodifiableMap(parameters);
        Parameter table = parameter(blueprint.embeddingName());
        embedding = Weight.of(table, dtype);
        positions = blueprint.positions(parameters, dtype);
        blocks = blueprint.blocks(parameters, dtype);
        finalNorm = blueprint.finalNorm(parameters, dtype);
        head = config().tiedEmbeddings() ? embedding : Weight.of(parameter(blueprint.headName()), dtype);
        weights.add(embedding);
        if (positions != null) {
            weights.add(positions);
        }
        for (Block block : blocks) {
            norms(block).forEach(this::addWeights);
            projections(block).forEach(p -> {
                weights.add(p.weight());
                if (p.bias() != null) {
                    weights.add(p.bias());
                }
            });
        }
        addWeights(finalNorm);
        if (head != embedding) {
            weights.add(head);
        }
    }

    private void addWeights(Norm norm) {
        weights.add(norm.weight());
        if (norm.bias() != null) {
            weights.add(norm.bias());
        }
    }

    private static Stream<Norm> norms(Block b) {
        return Stream.of(b.attentionNorm(), b.queryNorm(), b.keyNorm(), b.mlpNorm())
                .filter(java.util.Objects::nonNull)
                .map(norm -> norm);
    }

    private static Stream<Projection> projections(Block b) {
        return Stream.of(b.queryKeyValue(), b.output(), b.up(), b.down());
    }

    Stream<Projection> projections() {
        return blocks.stream().flatMap(Decoder::projections);
    }

    /// A model with random weights: normal with config.json's `initializer_range`, norms one, biases zero.
    public static Decoder initialise(ObjectNode configJson, long seed, DType dtype) {
        Blueprint blueprint = Blueprint.read(configJson, "config.json");
        double deviation = configJson.path("initializer_range").asDouble(0.02);
        Map<String, Parameter> parameters = new LinkedHashMap<>();
        List<Blueprint.Spec> specs = blueprint.specs();
        for (int s = 0; s < specs.size(); s++) {
            Blueprint.Spec spec = specs.get(s);
            try (Scope scope = Scope.open()) {
                Tensor value = switch (spec.start()) {
                    case ZERO -> Tensor.zeros(DType.F32, spec.shape());
                    case ONE -> Tensor.full(1, DType.F32, spec.shape());
                    case NORMAL -> normal(spec.shape(), deviation, seed, s);
                };
                parameters.put(spec.name(), new Parameter(spec.name(), scope.keepForever(value)));
            }
        }
        return new Decoder(blueprint, parameters, dtype);
    }

    static Tensor normal(long[] shape, double deviation, long seed, int number) {
        int n = 1;
        for (long size : shape) {
            n = Math.multiplyExact(n, Math.toIntExact(size));
        }
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = (float) (deviation * Philox.normal(seed, Philox.Stream.INITIALISATION, number, i));
        }
        return Tensor.of(values, shape);
    }

    // ---- what it is

    public DecoderConfig config() {
        return blueprint.config();
    }

    /// config.json as it was read.
    public ObjectNode configJson() {
        return blueprint.json().deepCopy();
    }

    Blueprint blueprint() {
        return blueprint;
    }

    /// The dtype of the computation.
    public DType dtype() {
        return dtype;
    }

    /// The base model's parameters, in the order of the forward pass.
    public Collection<Parameter> parameters() {
        return parameters.values();
    }

    /// What a trainer changes: the adapters' parameters if there are any, otherwise all.
    public List<Parameter> trainable() {
        return Stream.concat(parameters.values().stream(), adapterParameters.values().stream())
                .filter(Parameter::trainable)
                .toList();
    }

    /// The same by name, in order.
    public Map<String, Parameter> trainableByName() {
        Map<String, Parameter> named = new LinkedHashMap<>();
        trainable().forEach(p -> named.put(p.name(), p));
        return named;
    }

    /// The parameter of this name.
    public Parameter parameter(String name) {
        Parameter found = parameters.getOrDefault(name, adapterParameters.get(name));
        if (found == null) {
            throw new IllegalArgumentException("no parameter " + name);
        }
        return found;
    }

    // ---- forward

    /// Hidden states after the final norm.
    ///
    /// @param ids tokens end to end, [N], I64
    /// @return [N, H]
    public Tensor hidden(Tensor ids, Attend attend, Dropout dropout) {
        long tokens = ids.size(0);
        long rows = head.packed() ? tokens : MatrixProduct.roundRows(tokens, config().hiddenSize(), dtype());
        if (rows > tokens) {
            Padded padded = new Padded(attend, tokens, rows);
            return states(padded.fill(ids), padded, dropout).narrow(0, 0, tokens);
        }
        return states(ids, attend, dropout);
    }

    private Tensor states(Tensor ids, Attend attend, Dropout dropout) {
        Tensor x = embedding.get().embeddingOf(ids).to(DType.F32);
        if (positions != null) {
            x = x.add(positions.get().embeddingOf(attend.positions()));
        }
        x = dropout.apply(x, config().dropout().embedding());
        Tensor rotation = rotation(attend);
        for (Block block : blocks) {
            x = block.forward(x, rotation, attend, dropout);
        }
        return finalNorm.forward(x);
    }

    /// Cosine and sine of every token, [N, 1, pairs, 2], or null.
    private @Nullable Tensor rotation(Attend attend) {
        Tensor table = rotations(attend.maxPosition());
        return table == null ? null : table.indexSelect(0, attend.positions()).unsqueeze(1);
    }

    /// Cosines and sines of at least so many positions, or null. A table that is too short stays until the end: another
    /// worker may be reading it.
    private synchronized @Nullable Tensor rotations(int positions) {
        Rotary rotary = config().rotary();
        if (rotary == null) {
            return null;
        }
        if (rotations.isEmpty() || rotations.getLast().size(0) < positions) {
            try (Scope scope = Scope.open()) {
                int length = Math.max(positions, Math.min(config().maxPositions(), 2048));
                rotations.add(scope.keepForever(rotary.table(length)));
            }
        }
        return rotations.getLast();
    }

    /// The output layer's weight, [V, H], for losses that multiply with it piece by piece.
    public Tensor headWeight() {
        return head.get();
    }

    /// Logits, in the computation's dtype.
    ///
    /// @param hidden [M, H]
    /// @return [M, V]
    public Tensor logits(Tensor hidden) {
        return head.linear(hidden, null);
    }

    // ---- generation

    /// Until it is closed the model computes for generation: without gradients, and with its weights laid out for
    /// products of few rows, whose rows do not depend on each other in any bit.
    ///
    /// A model that is trained gives the laid-out copy back when this is closed; one that is not keeps it.
    public Generating generating() {
        NoGrad off = NoGrad.on();
        products().forEach(weight -> weight.pack(config().small()));
        return () -> {
            if (!trainable().isEmpty()) {
                products().forEach(Weight::unpack);
            }
            off.close();
        };
    }

    private Stream<Weight> products() {
        return Stream.concat(projections().map(Projection::weight), Stream.of(head));
    }

    /// Ends generation when closed.
    public interface Generating extends AutoCloseable {
        @Override
        void close();
    }

    // ---- training

    /// Takes over the parameters' present values.
    public void refresh() {
        weights.forEach(Weight::refresh);
        adapters().forEach(adapter -> {
            adapter.workingA().refresh();
            adapter.workingB().refresh();
        });
    }

    /// Moves the gradients of the last backward pass to the parameters, where they add up in F32.
    public void collectGradients() {
        weights.forEach(Weight::collect);
        adapters().forEach(adapter -> {
            adapter.workingA().collect();
            adapter.workingB().collect();
        });
    }

    // ---- adapters

    private Stream<Adapter> adapters() {
        return projections()
                .flatMap(p -> java.util.stream.IntStream.range(0, p.modules().size())
                        .mapToObj(p::adapter)
                        .filter(java.util.Objects::nonNull)
                        .map(adapter -> adapter));
    }

    /// Options of the attached adapters, or null.
    public @Nullable Lora lora() {
        return lora;
    }

    /// Attaches fresh adapters and freezes everything else. A is uniform as PEFT's (Kaiming, a = √5), B is zero, so
    /// that the model computes what it did.
    ///
    /// @throws BadInput if the rank is more than a dimension of a layer that gets one
    public void attach(Lora lora, long seed) {
        List<String> problems = blueprint.rankProblems(lora);
        if (!problems.isEmpty()) {
            throw BadInput.all("adapters", problems);
        }
        int[] number = {0};
        AdapterFiles.attach(this, lora, (name, shape) -> {
            number[0]++;
            return name.endsWith("lora_B.weight")
                    ? Tensor.zeros(DType.F32, shape)
                    : uniform(shape, 1 / Math.sqrt((double) shape[1]), seed, number[0]);
        });
    }

    private static Tensor uniform(long[] shape, double bound, long seed, int number) {
        float[] values = new float[Math.toIntExact(shape[0] * shape[1])];
        for (int i = 0; i < values.length; i++) {
            // Numbers of adapters lie far from those of the base model's tensors.
            double u = Philox.uniform(seed, Philox.Stream.INITIALISATION, (1L << 32) + number, i);
            values[i] = (float) (bound * (2 * u - 1));
        }
        return Tensor.of(values, shape);
    }

    void attached(Lora lora, Map<String, Parameter> made) {
        this.lora = lora;
        adapterParameters.putAll(made);
        parameters.values().forEach(Parameter::freeze);
        weights.forEach(Weight::refresh);
    }

    Adapter.Switch adapterSwitch() {
        return adaptersOn;
    }

    /// The adapters' parameters, by their PEFT names; empty without adapters.
    public Collection<Parameter> adapterParameters() {
        return Collections.unmodifiableCollection(adapterParameters.values());
    }

    /// Until it is closed the adapters are off for this thread: what it computes is the base model, the reference
    /// policy.
    public AdaptersOff withoutAdapters() {
        boolean before = adaptersOn.set(false);
        return () -> adaptersOn.set(before);
    }

    /// Switches the adapters back when closed.
    public interface AdaptersOff extends AutoCloseable {
        @Override
        void close();
    }

    /// Adds the adapters into the base weights and drops them.
    public void merge() {
        projections().forEach(p -> {
            for (int i = 0; i < p.modules().size(); i++) {
                Adapter adapter = p.adapter(i);
                if (adapter != null) {
                    try (Scope scope = Scope.open();
                            NoGrad off = NoGrad.on()) {
                        Tensor delta = adapter.delta();
                        Weight.Part part = p.weight().parts().get(i);
                        Tensor value = part.parameter().value().detach();
                        value.add_(part.transposed() ? delta.transpose(0, 1) : delta);
                    }
                    adapter.close();
                    p.detach(i);
                }
            }
        });
        adapterParameters.values().forEach(Parameter::close);
        adapterParameters.clear();
        lora = null;
        parameters.values().forEach(Parameter::unfreeze);
        refresh();
    }

    @Override
    public void close() {
        adapters().forEach(Adapter::close);
        weights.forEach(Weight::close);
        rotations.forEach(Tensor::close);
        parameters.values().forEach(Parameter::close);
        adapterParameters.values().forEach(Parameter::close);
    }
}

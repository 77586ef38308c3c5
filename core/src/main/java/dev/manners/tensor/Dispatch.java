package dev.manners.tensor;

import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.pytorch.Dispatcher;
import org.bytedeco.pytorch.GenericList;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.OperatorHandle;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.TensorType;
import org.bytedeco.pytorch.Type;
import org.jspecify.annotations.Nullable;

/// Calls any operator of libtorch by its schema's name, mapped by the Java binding or not.
///
/// The binding's traps are kept in here: `IValue(Pointer)` compiles for every pointer and aborts the JVM, and a list of
/// tensors has to be built with an element type in a wrapper of its own.
final class Dispatch {

    private static final Map<String, OperatorHandle> OPERATORS = new ConcurrentHashMap<>();

    private Dispatch() {}

    /// @param arguments in the schema's order: Tensor, null (None), Long, Integer, Double, Boolean, List of Tensor,
    /// or an IValue made before
    /// @return the first result, a tensor, or null where the operator returns nothing
    static @Nullable Tensor call(String name, String overload, @Nullable Object... arguments) {
        try (Scope scope = Scope.open()) {
            OperatorHandle operator = OPERATORS.computeIfAbsent(name + "." + overload, key -> {
                OperatorHandle found = Dispatcher.singleton().findSchemaOrThrow(name, overload);
                found.retainReference();
                return found;
            });
            IValueVector stack = new IValueVector();
            for (Object argument : arguments) {
                stack.push_back(value(argument));
            }
            operator.callBoxed(stack);
            if (stack.size() == 0) {
                return null;
            }
            IValue first = stack.get(0);
            if (!first.isTensor()) {
                return null;
            }
            org.bytedeco.pytorch.Tensor result = new org.bytedeco.pytorch.Tensor(first.toTensor());
            return scope.keep(Tensor.adopt(result));
        }
    }

    private static IValue value(@Nullable Object argument) {
        return switch (argument) {
            case null -> new IValue();
            case Tensor t -> new IValue(t.pointer());
            case Long n -> new IValue(n.longValue());
            case Integer n -> new IValue(n.longValue());
            case Double d -> new IValue(d.doubleValue());
            case Boolean b -> new IValue(b.booleanValue());
            case Scalar s -> new IValue(s);
            case IValue made -> made;
            case List<?> list -> {
                GenericList tensors = new GenericList(new Type.TypePtr(TensorType.get()));
                for (Object item : list) {
                    tensors.push_back(new IValue(((Tensor) item).pointer()));
                }
                yield new IValue(tensors);
            }
            default -> throw new IllegalArgumentException("no IValue for " + argument.getClass());
        };
    }
}

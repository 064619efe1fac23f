// The C handles below, for this package's own tests and measurements; apps have no need of them.
import CSatchel

extension Context {
    /// Calls the library with the context itself.
    package func withRaw<T>(_ body: (OpaquePointer) throws -> T) throws -> T {
        try handle.use(body)
    }
}

extension Store {
    /// Calls the library with the store itself.
    package func withRaw<T>(_ body: (OpaquePointer) throws -> T) throws -> T {
        try handle.use(body)
    }
}

extension Model {
    /// Takes over a model that the library made.
    package convenience init(raw: OpaquePointer, context: Context) throws {
        try self.init(Model.handle(raw), context)
    }

    /// Calls the library with the model itself.
    package func withRaw<T>(_ body: (OpaquePointer) throws -> T) throws -> T {
        try handle.use(body)
    }
}

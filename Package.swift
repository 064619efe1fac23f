// swift-tools-version: 6.0
// Satchel for Swift. SwiftPM takes dependencies only from a repository's root, so the manifest stands
// here; the sources are in bindings/swift.
//
// The library itself is C. On Apple's systems it comes as an XCFramework, which a release brings along;
// elsewhere, and before the first release, it is the installed one, found by pkg-config.
//
// SATCHEL_XCFRAMEWORK: path of an XCFramework made by scripts/xcframework, relative to this folder.
// SATCHEL_BENCH: adds the program bench/swift_overhead.
import Foundation
import PackageDescription

/// What scripts/xcframework --release writes here. Empty: there is no release yet.
let release = (url: "", checksum: "")

let environment = ProcessInfo.processInfo.environment

#if os(macOS)
let apple = true
#else
let apple = false
#endif

let library: Target
if apple, let path = environment["SATCHEL_XCFRAMEWORK"] {
    library = .binaryTarget(name: "CSatchel", path: path)
} else if apple, !release.url.isEmpty {
    library = .binaryTarget(name: "CSatchel", url: release.url, checksum: release.checksum)
} else {
    library = .systemLibrary(
        name: "CSatchel", path: "bindings/swift/Sources/CSatchel", pkgConfig: "satchel")
}

let package = Package(
    name: "satchel",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [
        .library(name: "Satchel", targets: ["Satchel"]),
        .library(name: "SatchelPDF", targets: ["SatchelPDF"]),
        .library(name: "SatchelFoundationModels", targets: ["SatchelFoundationModels"]),
    ],
    targets: [
        library,
        .target(
            name: "Satchel", dependencies: ["CSatchel"], path: "bindings/swift/Sources/Satchel",
            resources: [.copy("PrivacyInfo.xcprivacy")]),
        // Empty where the system has no PDFKit, or no Foundation Models.
        .target(
            name: "SatchelPDF", dependencies: ["Satchel"],
            path: "bindings/swift/Sources/SatchelPDF"),
        .target(
            name: "SatchelFoundationModels", dependencies: ["Satchel"],
            path: "bindings/swift/Sources/SatchelFoundationModels"),
        .testTarget(
            name: "SatchelTests", dependencies: ["Satchel", "CSatchel"],
            path: "bindings/swift/Tests/SatchelTests"),
    ],
    swiftLanguageModes: [.v6]
)

if environment["SATCHEL_BENCH"] != nil {
    package.targets.append(
        .executableTarget(
            name: "swift_overhead", dependencies: ["Satchel", "CSatchel"],
            path: "bench/swift_overhead"))
}
